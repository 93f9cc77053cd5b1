"""The Google Sheet: reads the rows that ask for posts, writes their outcomes back, checks access.

`client.SheetClient` is the way in: `read`, `write_outcomes` and `check`, one client for each tab.

    client.py   SheetClient: what the rest of the product calls
    tab.py      the requests about one tab: values, formulas, merged cells, updates
    check.py    what `dagster-tiktok doctor` finds out about a tab
    grid.py     the cells of a tab, and how a cell becomes text
    urls.py     GOOGLE_SHEET_URL
    read/       from cells to rows: headers, statuses, links, dates, row keys
    write/      outcomes into cells, and their correction when rows move meanwhile
    api/        Google: sign-in, requests, quota, the meaning of its errors

Nothing here knows Dagster, the ledger or TikTok's pages: of `tiktok/` only the form of a post's
link is used. What a run does with rows and outcomes is in `stages/`. The fake of Google Sheets is
in `sandbox/sheets/`.
"""
