"""The tests. Folders mirror the package; `pipeline` runs all of it, `sql` the database alone.

Not here: helpers that two test modules share, which belong in `support`.
"""
