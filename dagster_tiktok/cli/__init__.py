"""The command line: the group `dagster-tiktok`, and the commands `run` and `doctor`.

Here: options, exit statuses, what a terminal shows. Not here: the work of a command that has a
package of its own (`repair`, `backup`, `sandbox`). `main` imports Dagster only inside its
functions, so that `--help` is fast.
"""
