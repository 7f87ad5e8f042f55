"""Studies: from one TOML file to a folder with report, numbers, figures and forecasts.

The stages (features, information, models, dynamics, checks) run in the order of the pipeline. Each is kept under
the hash of its inputs and written atomically, so that a killed study continues where it was.
"""
