"""What more than one test module needs: servers, processes, and data. No tests.

Here belongs a helper once a second module uses it; until then it stays beside its test. No pytest
fixtures: those are in the `conftest.py` next to the tests that use them.

Servers
    http_server     the one scripted HTTP server
    responses       what it sends: a status, a page, half a file, nothing
    cdn             that server with files, and slides whose URLs point at them
    fault_proxy     that server before a real Supabase: counts uploads, injects faults
    tls_proxy       shows the sandbox as https://www.tiktok.com to programs that accept no other
    sheets          the sandbox's Google Sheets in a thread, and its client
    sheet_calls     plain HTTP calls of it
    database        a real database, and the rows that tests put into it
    rights          who may do what, read from the documentation, and the roles that try it
    scenes          a downloader and a CDN for one scene of a test
    threads         an event loop in a thread, for tests that are not async

Processes
    processes       the whole sandbox, and the command line as a process
    pipeline        runs with short pauses, and waiting for a moment of a run
    slide_mover     moves posts in a process whose memory and limits can be measured
    progress_script what `test_progress` runs

Data
    settings        settings whose services cannot be reached, except those that a test names
    sample_pages    TikTok's pages, built in code
    grids           sheets without a server
    outcomes        outcomes of rows, and what the sheet shows after them
    images          real images of every kind
    hostile_images  files and responses made to harm
    manual_clock    a clock that moves only when told to
"""
