"""The `events:` of a topology: what happens to a mesh, and when."""

import dataclasses

EVENTS_MAX = 1_000
SECONDS_MAX = 86_400
SHARE_MAX = 1_024
# What may happen, and the key of the figure that belongs to it.
KINDS = {
    "crash": None, "boot": None, "leave": None, "freeze": None, "thaw": None, "isolate": None,
    "cut": None, "heal": None, "cpu": "share", "rate": "bits_per_second", "loss": "share",
}


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happens: its moment, its kind, the nodes by index, and a figure.

    `cut` has two groups of nodes; the others have one, that of `heal` is empty."""
    at_seconds: float
    kind: str
    nodes: tuple = ()
    others: tuple = ()
    figure: float | None = None

    def words(self, names):
        """The event as the command that does it."""
        def said(nodes):
            return ",".join(names[node] for node in nodes)
        words = [self.kind] + [said(group) for group in (self.nodes, self.others) if group]
        return " ".join(words + ([f"{self.figure:g}"] if self.figure is not None else []))


def build(field, names):
    """The events that a list describes, in the order of their moments."""
    told = [_event(element, names) for element in field.list(EVENTS_MAX)]
    return tuple(sorted(told, key=lambda event: event.at_seconds))


def _event(field, names):
    members = field.members(["at_seconds", *KINDS, "share", "bits_per_second"])
    at_seconds = field.required(members, "at_seconds").number(0, SECONDS_MAX, "seconds")
    kinds = [kind for kind in KINDS if kind in members]
    if len(kinds) != 1:
        raise field.failure(
            f"an event has exactly one of {', '.join(KINDS)}; this has {len(kinds)}")
    [kind] = kinds
    figure_key = KINDS[kind]
    for key in ("share", "bits_per_second"):
        if key in members and key != figure_key:
            raise members[key].failure(f"'{key}' does not belong to '{kind}'")
    figure = _figure(field, members, kind, figure_key)
    value = members[kind]
    if kind == "heal":
        if value.text() != "all":
            raise value.failure("expected is 'all': every cut is mended at once")
        return Event(at_seconds, kind)
    if kind == "cut":
        ends = value.list(2)
        if len(ends) != 2:
            raise value.failure("a cut has two ends, [A, B]")
        a, b = (tuple(names.nodes(end)) for end in ends)
        if set(a) & set(b):
            raise value.failure("a node cannot be cut from itself")
        return Event(at_seconds, kind, a, b)
    return Event(at_seconds, kind, tuple(names.nodes(value)), (), figure)


def _figure(field, members, kind, key):
    from . import topology
    if key is None:
        return None
    value = field.required(members, key)
    if key == "bits_per_second":
        return topology.rate(value)
    if kind == "loss":
        return value.number(0, 1, "packets, as a share")
    return value.number(0.001, SHARE_MAX, "processors")
