"""From a Google Sheet of TikTok posts to a living record in Supabase, orchestrated by Dagster."""
