"""Writing outcomes back: what to write, where, and what is repaired when rows move meanwhile."""
