"""The outside services as Dagster resources; each wraps a plain client that knows no Dagster."""
