"""One line of progress at a time, to stderr."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Tell the person who waits what is going on."""
    print(f"  {message}", file=sys.stderr, flush=True)
