"""The sections of the report, one file each; `hopcast.report.section` finds them."""
