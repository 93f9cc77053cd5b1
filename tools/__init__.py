"""Used by tests, benchmarks and make docs only: a real PostgreSQL and the schema docs."""
