"""The outside services as Dagster resources; each wraps a plain client that knows no Dagster.

Here: building a client from the settings, opening and closing it. Not here: what is done with it.
"""
