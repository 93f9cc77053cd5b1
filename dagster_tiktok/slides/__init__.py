"""Slides without Dagster: download, verification, cache, upload."""
