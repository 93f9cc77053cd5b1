"""The calendar: a partition is the day on which scrapes are due."""

import dagster as dg

from dagster_tiktok.settings import load_definition_settings

# `end_offset=1` includes today: the run of 02:00 on the 10th has the key of the 10th.
daily = dg.DailyPartitionsDefinition(
    start_date="2026-01-01",
    end_offset=1,
    timezone=load_definition_settings().pipeline_timezone,
)
