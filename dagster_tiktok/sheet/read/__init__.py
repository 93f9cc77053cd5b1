"""From the cells of a tab to the rows that ask for posts. Nothing here writes.

    layout.py            which row is the header, and which column is which
    headers.py           the columns' names, their usual other names, GOOGLE_SHEET_COLUMNS
    foreign_values.py    columns of the pipeline's that hold what the team wrote
    rows.py              all ready rows of a tab as requests, and the warnings about the others
    row_parser.py        one row: link, Set ID, Type, names, date, and what is wrong with them
    row_keys.py          the key that finds a row again wherever it moves
    statuses.py          what a cell of `Status` means
    dates.py             dates as people type them
    cell_links.py        the link under a cell that shows a text
    mismatched_links.py  cells that show one post and link to another
    merged_cells.py      rows that a merged cell hides
    large_tabs.py        a tab over the size limit: only the needed columns

`rows.read_rows` is the way in. What a row becomes in the database is not decided here.
"""
