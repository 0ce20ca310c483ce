"""Waiting for a condition, with a deadline."""

import time

from .errors import LabError

# Conditions are processes, files and answers of agents: none changes faster than this matters.
POLL_SECONDS = 0.02
# What a slow board is asked meanwhile costs it time that is to be measured.
BOARD_POLL_SECONDS = 0.5


def wait(seconds, what, condition, poll=POLL_SECONDS):
    """Waits until `condition` gives something true, and gives that; `what` is, or makes, a text."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(poll)
