"""The sandbox's sheet as a user sees it in a browser."""

from __future__ import annotations

import secrets
from html import escape

from dagster_tiktok.sandbox.sheets.a1 import column_name
from dagster_tiktok.sandbox.sheets.book import Book, Cell, DateCell, FormulaCell, Tab, rendered

_SHOWN_ROWS = 1000
_STATUS_CLASSES = {"ready to scrape": "ready", "scraped": "scraped", "failed": "failed"}

_STYLE = """
:root { color-scheme: light; font: 14px/1.4 system-ui, sans-serif; color: #202124; }
body { margin: 0; background: #f8f9fa; }
header { padding: 12px 20px; background: #fff; border-bottom: 1px solid #dadce0; }
h1 { margin: 0; font-size: 18px; font-weight: 500; }
header p { margin: 4px 0 0; color: #5f6368; }
nav { display: flex; gap: 4px; padding: 8px 20px 0; }
nav a { padding: 6px 14px; border-radius: 6px 6px 0 0; color: #5f6368; text-decoration: none; }
nav a.open { background: #fff; color: #188038; font-weight: 600; }
main { overflow-x: auto; padding: 0 20px 24px; }
table { border-collapse: collapse; background: #fff; }
th, td { border: 1px solid #e0e3e7; padding: 3px 8px; text-align: left; white-space: nowrap;
  max-width: 420px; overflow: hidden; text-overflow: ellipsis; height: 20px; }
thead th, tbody th { background: #f1f3f4; color: #5f6368; font-weight: 400; text-align: center; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.formula { color: #b3261e; font-family: ui-monospace, monospace; }
td.ready { background: #fef7e0; } td.scraped { background: #e6f4ea; color: #137333; }
td.failed { background: #fce8e6; color: #b3261e; }
.wide { white-space: normal; min-width: 220px; }
"""

# Replaces the table in place, so that the place scrolled to is kept.
_SCRIPT = """
setInterval(async () => {
  const response = await fetch(location.href);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const name of ['header', 'main'])
    document.querySelector(name).replaceWith(fresh.querySelector(name));
}, 3000);
if (!location.search && location.hash.startsWith('#gid='))
  location.search = '?gid=' + location.hash.slice(5);
"""


def render_page(book: Book, tab: Tab) -> tuple[str, str]:
    """The page and the Content-Security-Policy that it needs. Cell texts are escaped."""
    nonce = secrets.token_urlsafe(16)
    width = max((len(row) for row in tab.rows), default=0)
    columns = "".join(f"<th>{column_name(index)}</th>" for index in range(width))
    rows = "".join(
        f"<tr><th>{number}</th>{_cells(row, width)}</tr>"
        for number, row in enumerate(tab.rows[:_SHOWN_ROWS], start=1)
    )
    more = len(tab.rows) - _SHOWN_ROWS
    note = f", the first {_SHOWN_ROWS:,} shown" if more > 0 else ""
    links = "".join(
        f'<a href="?gid={other.gid}"{" class=open" if other is tab else ""}>'
        f"{escape(other.title)}</a>"
        for other in book.tabs
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<noscript><meta http-equiv="refresh" content="5"></noscript>'
        f"<title>{escape(book.title)}</title><style nonce={nonce}>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(book.title)}</h1>"
        f"<p>{_counts(tab)}{len(tab.rows):,} rows{note}. The sandbox's fake of a Google "
        "Sheet, refreshed every 3 seconds.</p></header>"
        f"<nav>{links}</nav>"
        f"<main><table><thead><tr><th></th>{columns}</tr></thead><tbody>{rows}</tbody></table>"
        f"</main><script nonce={nonce}>{_SCRIPT}</script></body></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return page, policy


def _cells(row: list[Cell], width: int) -> str:
    padded: list[Cell] = row + [""] * (width - len(row))
    return "".join(_cell(cell) for cell in padded)


def _cell(cell: Cell) -> str:
    if isinstance(cell, FormulaCell):
        return f'<td class="formula" title="a formula">{escape(cell.formula)}</td>'
    text = str(rendered(cell, "FORMATTED_VALUE", dates_as_text=True))
    if isinstance(cell, (int, float, DateCell)):
        return f'<td class="number">{escape(text)}</td>'
    name = _STATUS_CLASSES.get(" ".join(text.casefold().split()), "wide" if len(text) > 60 else "")
    return f'<td class="{name}" title="{escape(text)}">{escape(text)}</td>'


def _counts(tab: Tab) -> str:
    texts = [" ".join(cell.casefold().split()) for row in tab.rows for cell in row
             if isinstance(cell, str)]  # fmt: skip
    counts = ((texts.count(status), status) for status in _STATUS_CLASSES)
    return "".join(f"{count:,} {status}, " for count, status in counts if count)
