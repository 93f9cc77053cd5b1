"""What the docs say about the sheet is true."""

from __future__ import annotations

import ast
import csv
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import date, timezone
from pathlib import Path
from typing import Any

from dagster_tiktok.sandbox.supabase_lite.node_packages import node_command
from dagster_tiktok.sheet.api import errors, service_account
from dagster_tiktok.sheet.grid import Grid
from dagster_tiktok.sheet.read import layout
from dagster_tiktok.sheet.read.layout import (
    READ_IF_PRESENT,
    REQUIRED,
    WANTED,
    WRITTEN_IF_PRESENT,
    find_layout,
)
from dagster_tiktok.sheet.read.rows import READY, read_rows
from dagster_tiktok.sheet.write.computed_cells import array_output_error

DOCS = Path(__file__).parents[2] / "docs"


def test_the_template_has_only_known_columns_and_a_row_without_status() -> None:
    with (DOCS / "sheet-template.csv").open(newline="") as file:
        rows: list[list[Any]] = list(csv.reader(file))
    found = find_layout(_grid(rows))
    assert set(found.columns) == {*REQUIRED, *WANTED, *READ_IF_PRESENT, *WRITTEN_IF_PRESENT}
    assert read_rows(_grid(rows), found, timezone.utc).ready == ()

    rows[1][found["Status"]] = READY
    read = read_rows(_grid(rows), found, timezone.utc)
    assert read.warnings == ()
    (row,) = read.ready
    assert row.problems == ()
    assert row.details.created_date == date(2026, 11, 22)


def test_the_date_script_fills_empty_dates_when_rows_become_ready() -> None:
    (script,) = re.findall(r"```js\n(.*?)```", (DOCS / "set-up-google.md").read_text(), re.DOTALL)
    assert _stamped(script, first=2, last=5, column=3) == ["", "stamp", "before", "", ""]
    assert _stamped(script, first=1, last=6, column=1, width=3)[-1] == "stamp"
    assert _stamped(script, first=3, last=3, column=1) == ["", "", "before", "", ""]


def test_the_docs_say_what_to_do_about_every_message_on_google() -> None:
    rows = (DOCS / "troubleshoot.md").read_text().split("## Google Sheets errors")[1].splitlines()
    phrases = [
        phrase
        for row in rows
        if row.startswith("| `")
        for phrase in re.findall(r"`([^`]+)`", row.split(" | ")[0])
    ]
    # Without those that are only put together from others.
    sentences = [told for told in _messages() if re.search("[a-z]{2} ", told)]
    assert len(sentences) > 12
    for sentence in sentences:
        assert any(phrase in sentence for phrase in phrases), sentence
    for phrase in phrases:
        assert any(phrase in sentence for sentence in sentences), phrase


def _grid(rows: list[list[Any]]) -> Grid:
    return Grid("Posts", rows)


def _stamped(script: str, *, first: int, last: int, column: int, width: int = 1) -> list[str]:
    """The dates of rows 2 to 6 after an edit; rows 3, 4 and 6 are ready, 4 has a date."""
    rows = [
        ["Date", "VA", "Status"],
        ["", "Ana", ""],
        ["", "Ana", READY],
        ["before", "Ana", READY],
        ["", "Ana", "Scraped"],
        ["", "Ana", READY],
    ]
    # What the script uses of Google's SpreadsheetApp, over a list of rows.
    program = f"""
      const rows = {json.dumps(rows)};
      class Range {{
        constructor(row, column, height = 1, width = 1) {{
          Object.assign(this, {{ row, column, height, width }});
        }}
        getSheet() {{ return sheet; }}
        getRow() {{ return this.row; }}
        getColumn() {{ return this.column; }}
        getLastRow() {{ return this.row + this.height - 1; }}
        getLastColumn() {{ return this.column + this.width - 1; }}
        getValue() {{ return rows[this.row - 1][this.column - 1]; }}
        getValues() {{ return [rows[this.row - 1].slice(this.column - 1, this.getLastColumn())]; }}
        isBlank() {{ return this.getValue() === ''; }}
        setValue(value) {{
          if (!(value instanceof Date)) throw new Error('not a date');
          rows[this.row - 1][this.column - 1] = 'stamp';
          return this;
        }}
        setNumberFormat() {{ return this; }}
      }}
      const sheet = {{
        getLastColumn: () => 3,
        getRange: (...place) => new Range(...place),
      }};
      {script}
      onEdit({{ range: new Range({first}, {column}, {last - first + 1}, {width}) }});
      console.log(JSON.stringify(rows.slice(1).map(row => row[0])));
    """
    done = subprocess.run(
        [*node_command(), "-e", program], capture_output=True, text=True, check=True
    )
    dates: list[str] = json.loads(done.stdout)
    return dates


def _messages() -> Iterator[str]:
    """Every sentence that the modules can tell, with … for what stands in it."""
    yield from (told for _, told in errors.FORBIDDEN)
    yield str(array_output_error("…", None, "Status"))
    for module in (errors, service_account, layout):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            texts = (
                [*node.args]
                if isinstance(node, ast.Call)
                and ast.unparse(node.func).rpartition(".")[2]
                in (
                    "ConfigurationError",
                    "ServiceUnavailableError",
                    "ProtectedError",
                    "UnknownRangeError",
                    "TransientError",
                    "ResponseLostError",
                    "UnreachableError",
                    "_credentials_error",
                )
                else [node.value]
                if isinstance(node, ast.Return)
                else []
            )
            for text in texts:
                if isinstance(text, ast.JoinedStr | ast.Constant):
                    yield _told(text)


def _told(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
