"""The folder in which data that the parser did not understand waits for the maintainer."""

from __future__ import annotations

import logging
import re
from pathlib import Path

_MAX_FILES = 50
_MAX_CHARACTERS = 2_000_000
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
# A page names the visit: no more than a cookie's worth, but the folder is made to be passed on.
_OF_THE_VISIT = re.compile(
    r'("(?:csrfToken|nonce|wid|odinId|encryptedWebid|requestId)"\s*:\s*)'
    r'(?:"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9.]+)'
)

log = logging.getLogger(__name__)


class KeptPages:
    """At most `_MAX_FILES` files of page data; the oldest make room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, page_json: str) -> None:
        """Writes `<name>.json`, without what names the visit.

        A folder that can't be written is logged: it holds up no post.
        """
        path = self._folder / f"{_UNSAFE.sub('_', name)}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            text = _OF_THE_VISIT.sub(r'\1""', page_json[:_MAX_CHARACTERS])
            path.write_text(text, encoding="utf-8", errors="replace")
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
            for file in files[:-_MAX_FILES]:
                file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("The page data %s could not be kept: %s", path, error)
            return
        log.warning("TikTok's page was not understood; its data lies in %s", path)
