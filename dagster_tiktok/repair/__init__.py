"""Compares slide rows with the objects in the bucket, and fixes what differs.

Here: all of `dagster-tiktok repair` but its options. Not here: a second way to download, verify or
upload a slide; that is `slides`.
"""
