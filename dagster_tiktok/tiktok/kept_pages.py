"""Keeps the data of pages that we could not parse, for the maintainer."""

from __future__ import annotations

import logging
import re
from pathlib import Path

_MAX_FILES = 50
_MAX_CHARACTERS = 2_000_000
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
# Values that identify the visit. Operators may pass this folder on, so we blank them.
_VISIT_VALUES = re.compile(
    r'("(?:csrfToken|nonce|wid|odinId|encryptedWebid|requestId)"\s*:\s*)'
    r'(?:"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9.]+)'
)

log = logging.getLogger(__name__)


class KeptPages:
    """A folder with at most `_MAX_FILES` files of page data; the oldest are deleted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, page_json: str) -> None:
        """Writes `<name>.json`, without the values that identify the visit.

        Logs an error if the folder can't be written: that must not fail the post.
        """
        path = self._folder / f"{_UNSAFE.sub('_', name)}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            text = _VISIT_VALUES.sub(r'\1""', page_json[:_MAX_CHARACTERS])
            path.write_text(text, encoding="utf-8", errors="replace")
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
            for file in files[:-_MAX_FILES]:
                file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("Could not keep the page data %s: %s", path, error)
            return
        log.warning("Could not parse TikTok's page; its data is in %s", path)
