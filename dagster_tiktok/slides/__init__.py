"""Slides without Dagster: download, verification, cache, upload.

Here: everything from a slide's URL to its object in the bucket, and why it failed. Not here: which
posts are due (`stages`), what a page says about slides (`tiktok`), comparing the bucket with the
database (`repair`).
"""
