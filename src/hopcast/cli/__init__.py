"""The command line: a thin shell over the library, one file a subcommand.

Heavy imports happen inside the commands, so that ``hopcast --help`` is instant. Exit codes: 0 fine, 1 a bug of
ours, 2 usage or study file, 3 bad data, 4 a quality gate not met, 130 interrupted.
"""

from hopcast.cli.app import main

__all__ = ["main"]
