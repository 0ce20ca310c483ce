"""Waiting for a condition, with a deadline."""

import time

from .errors import LabError

# Conditions are processes, files and answers of agents: none changes faster than this matters.
POLL_SECONDS = 0.02


def wait(seconds, what, condition):
    """Waits until `condition` gives something true, and gives that; `what` is, or makes, a text."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(POLL_SECONDS)
