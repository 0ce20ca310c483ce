"""Ends from outside: raised where the lab can clean up, held back where it cannot."""

import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_held = {"depth": 0, "pending": None}


class Interrupted(BaseException):
    """A signal asked for the end."""

    def __init__(self, number):
        super().__init__(number)
        self.code = 128 + number


def install():
    """From now on the first signal raises `Interrupted`: what follows is the removal of what was
    made, and no other one interrupts that."""
    for number in SIGNALS:
        signal.signal(number, _arrive)


def _arrive(number, _):
    if _held["depth"]:
        _held["pending"] = number
    else:
        _raise(number)


def _raise(number):
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


@contextlib.contextmanager
def held():
    """Signals that arrive meanwhile are raised at the end: what begins here is known to whoever
    cleans up before that."""
    _held["depth"] += 1
    try:
        yield
    finally:
        _held["depth"] -= 1
    if not _held["depth"] and _held["pending"]:
        number, _held["pending"] = _held["pending"], None
        _raise(number)
