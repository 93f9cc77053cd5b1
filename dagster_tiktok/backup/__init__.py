"""Copies of the database that are shown to equal the original: `make backup`, `make restore`."""
