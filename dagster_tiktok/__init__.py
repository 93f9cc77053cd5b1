"""From a Google Sheet of TikTok posts to a living record in Supabase, orchestrated by Dagster.

The modules at the root are what Dagster sees (`definitions`, `automation`, `checks`, `partitions`)
and what everything imports (`models`, `settings`, `errors`, `text`, `tasks`, `progress`, `clock`,
`redaction`). Anything else belongs in a package: `python -m tools.layers` prints who may import
whom.
"""
