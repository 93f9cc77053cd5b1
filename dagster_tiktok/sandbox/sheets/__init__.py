"""A fake Google Sheets API with one spreadsheet: tokens, quotas, formulas, edits, faults.

Not here: what the pipeline makes of the cells (`dagster_tiktok.sheet`).
"""
