"""The `fields` parameter of Google's APIs: which parts of a response are wanted."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"[A-Za-z*]+|[().,/]")


class FieldsError(ValueError):
    """The selection is malformed or names what is not there."""


def field_mask(text: str) -> dict[str, Any]:
    """`a.b(c,d),e` as nested dicts; an empty dict means everything below."""
    tokens = _TOKEN.findall(text)
    mask, rest = _parse(tokens)
    if rest or "".join(tokens) != text.replace(" ", ""):
        raise FieldsError(f"Invalid field selection {text}")
    return mask


def masked(value: Any, mask: dict[str, Any]) -> Any:
    """`value` with nothing in it that `mask` does not name."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: masked(value[name], inner) for name, inner in mask.items() if name in value}


def _parse(tokens: list[str]) -> tuple[dict[str, Any], list[str]]:
    mask: dict[str, Any] = {}
    while tokens and tokens[0] != ")":
        name, tokens = tokens[0], tokens[1:]
        node = mask.setdefault(name, {})
        while len(tokens) > 1 and tokens[0] in (".", "/"):
            node, tokens = node.setdefault(tokens[1], {}), tokens[2:]
        if tokens and tokens[0] == "(":
            inner, tokens = _parse(tokens[1:])
            node.update(inner)
            tokens = tokens[1:]
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return mask, tokens
