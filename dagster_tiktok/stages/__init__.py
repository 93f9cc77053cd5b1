"""What each stage does with the ledger and its service, without Dagster.

Every stage claims the units that are due and in the state before its own, works on them, and
moves each one on as soon as it is done. So a stage may be killed anywhere and run again.

Here: the order of the work, workers, retries of a unit within a run, reports. Not here: requests
(`sheet`, `tiktok`, `slides`), SQL calls (`database`), metadata (`assets`).
"""
