"""Copies of the database that are shown to equal the original: backup, restore, compare.

Here: all of `dagster-tiktok backup`, `restore` and `compare`, over `SUPABASE_DB_URL`. Not here:
objects of the bucket, and anything that a run needs.
"""
