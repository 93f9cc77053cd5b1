"""Google Sheets over HTTP: the only modules that know gspread, google-auth and requests.

    service_account.py  GOOGLE_SHEETS_CREDENTIALS, and the session that signs in with it
    http.py             every request: URL, timeouts, retries of reads, log lines
    quota.py            60 reads and 60 writes a minute
    bounded_session.py  limits on the size and time of a response; no redirects
    errors.py           what a failed request means, and what the operator has to do

What the cells mean belongs to `read/` and `write/`.
"""
