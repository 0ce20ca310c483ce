"""What goes wrong, for people: each says what happened, why, and what to do."""

FAILED, USAGE = 1, 64


class LabError(Exception):
    """The lab cannot do what it was told."""

    def __init__(self, text, code=FAILED):
        super().__init__(text)
        self.code = code


class UsageError(LabError):
    """The call itself is wrong."""

    def __init__(self, text):
        super().__init__(text, USAGE)
