"""The seven assets. Thin: what to do with resources, and what to leave in the catalogue.

These modules have no `from __future__ import annotations`: Dagster reads the annotation of
`context` itself and refuses one that is a string.
"""
