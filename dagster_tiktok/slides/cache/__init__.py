"""The bounded disk cache of slides: entries, their files and locks, what is evicted.

Not here: requests, and what the bytes of a slide are.
"""
