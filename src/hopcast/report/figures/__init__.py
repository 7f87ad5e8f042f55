"""The figures of the report, one file each; every function returns a matplotlib `Figure`, or None without data."""
