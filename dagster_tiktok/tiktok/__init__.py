"""TikTok without Dagster: addresses, page parsing, the failure taxonomy, the client."""
