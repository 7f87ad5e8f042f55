"""Studies: from one TOML file to a folder with report, numbers, figures and forecasts.

The stages (features, information, models, dynamics, checks) run in the order of the pipeline. Each is kept under
the hash of its inputs and written atomically, so that a killed study continues where it was.
"""

from hopcast.study.config import StudyConfig, read_config
from hopcast.study.run import StudyResult, rank_study, run_study

__all__ = ["StudyConfig", "StudyResult", "rank_study", "read_config", "run_study"]
