"""The seven assets, and what they share: how a stage is opened, how metadata is shown.

Here: which resources an asset uses, which stage it calls, which metadata it leaves. Not here:
decisions, HTTP, SQL; those belong to `stages` and the packages below it.

The modules that define assets have no `from __future__ import annotations`: Dagster reads the
annotation of `context` itself and does not accept one that is a string.
"""
