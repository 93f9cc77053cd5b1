"""Which package may import which, and a check of all imports.

    python -m tools.layers        prints the table; exits 1 if an import violates it

An import that the table does not allow, or a cycle of modules (imports for type checking count),
makes it impossible to understand or replace a part on its own.
`dagster_tiktok_tests/test_layers.py` fails on either.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = "dagster_tiktok"
ROOT = Path(__file__).parents[1]

BASE = "(root)"
"""errors, models, settings, text, tasks, progress: used by everything, import nothing of ours."""
DAGSTER = "(dagster)"
"""What Dagster sees: definitions, automation, checks."""
PARTITIONS = "partitions"
"""The calendar, which every asset imports."""

_DAGSTER_MODULES = {"definitions", "automation", "checks"}
_VOCABULARY = {"dagster_tiktok.sheet.read.headers", "dagster_tiktok.sheet.urls"}
"""Parsing of headers and sheet URLs: the settings use it, and it imports nothing of ours."""
_DOMAIN = {"database", "sheet", "slides", "tiktok", "net", BASE}

ALLOWED: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed)
    for name, allowed in {
        BASE: set(),
        "net": {BASE},
        "database": {"net", BASE},
        "tiktok": {"net", BASE},
        "sheet": {"tiktok", "net", BASE},
        "slides": {"database", "tiktok", "net", BASE},
        "backup": {BASE},
        "stages": _DOMAIN,
        "repair": _DOMAIN,
        "resources": {"stages", *_DOMAIN},
        PARTITIONS: {BASE},
        "assets": {PARTITIONS, "resources", "stages", *_DOMAIN},
        DAGSTER: {PARTITIONS, "assets", "resources", "stages", *_DOMAIN},
        "sandbox": {"sandbox", BASE},
        "cli": {
            DAGSTER, PARTITIONS, "assets", "resources", "stages", "repair", "backup", "sandbox",
            *_DOMAIN,
        },
    }.items()
}  # fmt: skip


def layer(module: str) -> str:
    """The row of the table that a module (`dagster_tiktok.net.hosts`) belongs to."""
    parts = module.split(".")
    if len(parts) == 1 or module in _VOCABULARY:
        return BASE
    if (ROOT / PACKAGE / parts[1]).is_dir():
        return parts[1]
    if parts[1] == PARTITIONS:
        return PARTITIONS
    return DAGSTER if parts[1] in _DAGSTER_MODULES else BASE


def imports() -> dict[str, set[str]]:
    """Every module of the package, and the modules of the package that it imports."""
    files = {_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
    return {
        module: set(_imported(ast.parse(path.read_text()), files)) - {module}
        for module, path in files.items()
    }


def violations(graph: Mapping[str, set[str]]) -> list[str]:
    """Imports that the table does not allow, as `module imports module`."""
    return [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if layer(target) != layer(module) and layer(target) not in ALLOWED[layer(module)]
    ]


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in graph.get(module, ()):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else str(node.module)


def main() -> int:
    graph = imports()
    for name, allowed in ALLOWED.items():
        sys.stdout.write(f"{name:<10} may import  {', '.join(sorted(allowed)) or 'nothing'}\n")
    broken = violations(graph) + [f"cycle: {' <-> '.join(group)}" for group in cycles(graph)]
    for line in broken:
        sys.stdout.write(f"BROKEN  {line}\n")
    if not broken:
        sys.stdout.write(f"{len(graph)} modules checked: no violation, no import cycle.\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
