"""What tests, benchmarks and `make docs` need: a real PostgreSQL, the layers, generated pages.

Not here: anything that ships. No module of `dagster_tiktok` imports this package.
"""
