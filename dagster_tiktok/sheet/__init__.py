"""The sheet without Google and without Dagster: its layout, its rows, what is written back."""
