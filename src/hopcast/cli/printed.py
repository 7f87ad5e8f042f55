"""Standard output that may be full or closed: the work goes on, and one sentence says what was not printed."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any


class Printed:
    """A stream that stops printing at the first error, and lets the command finish: its files matter more than its words.

    Parameters
    ----------
    stream
        Standard output; None where the process has none.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print, or nothing after an error."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Print what waits, or nothing after an error."""
        self._try(lambda: self._stream.flush())

    def close_out(self) -> None:
        """Print what waits; where something was lost say so, and end with 2 unless the reader just stopped listening.

        Raises
        ------
        SystemExit
            With 2, in the place of 0.
        """
        self.flush()
        if self._error is None or self._error.errno == errno.EPIPE:
            return
        ending = sys.exc_info()[1]
        if isinstance(ending, SystemExit) and ending.code not in (0, None):
            return
        print(
            f"hopcast: cannot print to standard output: {self._error.strerror}. What was to be printed is lost; files are written.",
            file=sys.stderr,
        )
        sys.exit(2)

    def _try(self, action: Any) -> None:
        if self._error is not None or self._stream is None:
            return
        try:
            action()
        except OSError as error:
            self._error = error
            # what still waits in the buffer must not fail again when the process ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
