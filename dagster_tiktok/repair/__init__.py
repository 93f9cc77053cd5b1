"""Compares slide rows with the objects in the bucket, and fixes what differs."""
