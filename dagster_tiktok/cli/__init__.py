"""The command line: dagster-tiktok run, doctor, repair, sandbox."""
