"""`dagster_tiktok.errors` shows every exception of the package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict

import dagster_tiktok
from dagster_tiktok import errors


def own_exceptions() -> set[type[BaseException]]:
    """Every exception class that a module of the package defines."""
    found: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(dagster_tiktok.__path__, "dagster_tiktok."):
        classes = vars(importlib.import_module(module.name)).values()
        found |= {
            each
            for each in classes
            if inspect.isclass(each)
            and issubclass(each, BaseException)
            and each.__module__ == module.name
        }
    return found


def tree(classes: set[type[BaseException]]) -> list[str]:
    """A line per class, indented under its first base, with its module."""
    children: defaultdict[type, list[type]] = defaultdict(list)
    for each in classes:
        children[each.__bases__[0]].append(each)

    def lines(parent: type, depth: int) -> list[str]:
        found: list[str] = []
        for child in sorted(children[parent], key=lambda each: each.__name__):
            name = "  " * depth + child.__name__
            found += [
                f"{name:<32}{child.__module__.removeprefix('dagster_tiktok.')}",
                *lines(child, depth + 1),
            ]
        return found

    roots = sorted(children.keys() - classes, key=lambda each: (each is not Exception, str(each)))
    return [line for root in roots for line in (root.__name__, *lines(root, 1))]


def test_every_exception_name_ends_in_error() -> None:
    assert {each.__name__ for each in own_exceptions() if not each.__name__.endswith("Error")} == (
        set()
    )


def test_docstring_shows_the_tree_of_all_exceptions() -> None:
    expected = "\n".join(tree(own_exceptions()))
    documented = inspect.cleandoc(errors.__doc__ or "").split("\n\n")
    assert inspect.cleandoc(documented[-1]) == expected, f"put this into errors.py:\n{expected}"
