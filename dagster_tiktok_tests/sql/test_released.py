"""Migrations that were released are never edited: databases that have them would not notice."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from dagster_tiktok_tests.support.database import ROOT


def _edited(root: Path) -> list[str]:
    """Of the files in `sql/migrations.sha256`, as `sha256sum` writes it: those that differ."""
    lines = (root / "sql" / "migrations.sha256").read_text().splitlines()
    released = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    return [path for path, digest in released.items() if _digest(root / path) != digest]


def _digest(file: Path) -> str | None:
    return sha256(file.read_bytes()).hexdigest() if file.exists() else None


def test_no_released_migration_was_edited_or_removed() -> None:
    assert _edited(ROOT) == [], "a change is a new file: docs/migrate.md"


def test_edited_and_removed_migrations_are_named_and_added_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    names = [f"sql/migrations/00{n}_x.sql" for n in (1, 2, 3)]
    for name in names:
        (tmp_path / name).write_text(f"select '{name}';\n")
    released = "".join(f"{_digest(tmp_path / name)}  {name}\n" for name in names)
    (tmp_path / "sql" / "migrations.sha256").write_text(released)

    (folder / "004_x.sql").write_text("select 4;\n")
    assert _edited(tmp_path) == []

    (tmp_path / names[0]).write_text("select 1;\n")
    (tmp_path / names[2]).unlink()
    assert _edited(tmp_path) == [names[0], names[2]]


def test_migration_numbers_have_no_gap_and_no_duplicate() -> None:
    numbers = [file.name[:4] for file in sorted((ROOT / "sql" / "migrations").glob("*.sql"))]
    assert numbers == [f"{n:03}_" for n in range(1, len(numbers) + 1)]
