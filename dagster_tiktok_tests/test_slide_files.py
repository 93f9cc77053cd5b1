from __future__ import annotations

import dagster as dg

from dagster_tiktok.assets.slide_files import stage_metadata
from dagster_tiktok.slides.stats import MoveStats
from dagster_tiktok.stages.store_slides import StoreReport


def test_metadata_of_a_stage_are_numbers_and_tables_by_host_and_by_kind() -> None:
    stats = MoveStats(uploaded=2, failed=1, skipped=4)
    stats.by_kind["corrupt"] = 1
    stats.count_download("p16.tiktokcdn.com", size=2_000_000, seconds=0.25)
    stats.count_download("p16.tiktokcdn.com", size=1_000_000, seconds=0.75)
    stats.count_failed_request("p|19<b>", "server_error", size=0)

    metadata = stage_metadata(StoreReport(stored=3, incomplete=1, seconds=2.0, stats=stats))

    numbers = {name: value for name, value in metadata.items() if isinstance(value, int | float)}
    assert numbers["successful"] == 2
    assert (numbers["failed"], numbers["skipped"], numbers["failed_requests"]) == (1, 4, 1)
    assert (numbers["seconds_average"], numbers["seconds_p95"]) == (0.5, 0.75)
    assert (numbers["bytes"], numbers["slides_per_second"]) == (3_000_000, 1.0)
    tables = {n: v.value for n, v in metadata.items() if isinstance(v, dg.MarkdownMetadataValue)}
    assert tables["hosts"].splitlines()[2:] == [
        "| p16.tiktokcdn.com | 2 | 3.0 | 0.5 | 0.75 |  |",
        "| p\\|19&lt;b&gt; | 0 | 0.0 | 0.0 | 0.0 | 1 server\\_error |",
    ]
    assert tables["failure_kinds"].splitlines()[2:] == [
        "| corrupt | 1 | The slide's image is corrupt |"
    ]
    assert numbers.keys() | tables.keys() == metadata.keys()
