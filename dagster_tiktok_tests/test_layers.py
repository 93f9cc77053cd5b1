"""The package keeps to the direction of its layers. A break names the import to move."""

from tools.layers import cycles, imports, violations


def test_imports_follow_the_layers() -> None:
    assert violations(imports()) == []


def test_modules_import_each_other_nowhere() -> None:
    assert cycles(imports()) == []


def test_a_break_and_a_cycle_would_be_seen() -> None:
    graph = {
        "dagster_tiktok.stages.scrape": {"dagster_tiktok.assets.common"},
        "dagster_tiktok.assets.common": {"dagster_tiktok.stages.scrape"},
    }

    assert violations(graph) == [
        "dagster_tiktok.stages.scrape imports dagster_tiktok.assets.common"
    ]
    assert cycles(graph) == [["dagster_tiktok.assets.common", "dagster_tiktok.stages.scrape"]]
