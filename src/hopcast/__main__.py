"""``python -m hopcast``."""

from hopcast.cli import main

main()
