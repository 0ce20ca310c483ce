"""A described mesh, as Docs/Topologies.md defines it."""

import dataclasses
import re

from . import document, events

# The planner's own limits (`ModelSpace.nodesMax` and `Topology`).
NODES_MAX, THREADS_MAX, PAIRS_MAX = 32, 1024, 4096
PER_SECOND_MIN, PER_SECOND_MAX = 1e6, 1e18
BITS_PER_SECOND_MIN, BITS_PER_SECOND_MAX = 1e3, 1e15
LATENCY_SECONDS_MAX, WATTS_MAX, BYTES_MAX = 1e3, 1e6, 1 << 50
# A node's name becomes the name of a folder and of a network device's alias.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclasses.dataclass(frozen=True)
class Link:
    """One way between two nodes."""
    bits_per_second: float
    latency_seconds: float


@dataclasses.dataclass(frozen=True)
class Node:
    """A node and what it can do."""
    name: str
    threads: int
    memory_bytes: int
    operations_per_second: float
    moved_bytes_per_second: float
    watts: float | None = None


@dataclasses.dataclass(frozen=True)
class Topology:
    """Nodes, the link of each pair (`links[source][target]`), the shared medium, entry, events."""
    nodes: tuple
    links: tuple
    medium_bits_per_second: float | None
    entry: int | None
    events: tuple = ()
    description: str = ""

    @property
    def names(self):
        """The nodes' names."""
        return [node.name for node in self.nodes]

    def index(self, name):
        """Which node is called so; None if none is."""
        return self.names.index(name) if name in self.names else None

    def slowed(self, factor):
        """The same mesh with everything slower by a factor up to 1: times grow by 1 / factor."""
        if factor == 1:
            return self
        return dataclasses.replace(
            self,
            nodes=tuple(dataclasses.replace(
                node, operations_per_second=node.operations_per_second * factor,
                moved_bytes_per_second=node.moved_bytes_per_second * factor)
                for node in self.nodes),
            links=tuple(tuple(
                Link(link.bits_per_second * factor, link.latency_seconds / factor)
                for link in row) for row in self.links),
            medium_bits_per_second=self.medium_bits_per_second
            and self.medium_bits_per_second * factor)

    def text(self):
        """The mesh as a file that `tessera plan --topology` reads; without events."""
        lines = [f"description: {quoted(self.description or 'a mesh')}", "nodes:"]
        for node in self.nodes:
            lines += [
                f"  - name: {quoted(node.name)}", f"    threads: {node.threads}",
                f"    memory_bytes: {node.memory_bytes}",
                f"    operations_per_second: {node.operations_per_second:.6e}",
                f"    moved_bytes_per_second: {node.moved_bytes_per_second:.6e}"]
            if node.watts is not None:
                lines.append(f"    watts: {node.watts!r}")
        usual = self._usual_link()
        lines += ["links:", f"  default: {{{self._link_text(usual)}}}"]
        pairs = [
            f"    - {{a: {quoted(source.name)}, b: {quoted(target.name)}, "
            f"{self._link_text(self.links[row][column])}}}"
            for row, source in enumerate(self.nodes) for column, target in enumerate(self.nodes)
            if row != column and (self.links[row][column] != usual
                                  or self.links[column][row] != usual)]
        lines += ["  pairs:", *pairs] if pairs else []
        if self.medium_bits_per_second:
            lines.append(f"  medium_bits_per_second: {self.medium_bits_per_second:.6e}")
        if self.entry is not None:
            lines.append(f"entry: {quoted(self.nodes[self.entry].name)}")
        return "\n".join(lines) + "\n"

    def _usual_link(self):
        every = [link for row, links in enumerate(self.links)
                 for column, link in enumerate(links) if row != column]
        return max(every or [self.links[0][0]], key=every.count)

    @staticmethod
    def _link_text(link):
        return (f"bits_per_second: {link.bits_per_second:.6e}, "
                f"latency_seconds: {link.latency_seconds:.6e}")


def quoted(text):
    """A text as YAML takes it whatever it holds."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def read(path):
    """Reads a file."""
    return build(document.document(path))


def build(root):
    """The topology that a document describes."""
    members = root.members(["description", "nodes", "links", "entry", "events"])
    description = members["description"].text() if "description" in members else ""
    names, nodes = Names(), []
    field = root.required(members, "nodes")
    for element in field.list(NODES_MAX):
        nodes += _nodes(element, names)
    if not nodes:
        raise field.failure("a topology has at least one node")
    links, medium = _links(root.required(members, "links"), names)
    entry = names.nodes(members["entry"]).start if "entry" in members else None
    told = events.build(members["events"], names) if "events" in members else ()
    return Topology(tuple(nodes), links, medium, entry, told, description)


class Names:
    """The names of nodes and groups: a group of `count` nodes called x has x-1, x-2, …"""

    def __init__(self):
        self.all, self._groups = [], {}

    def add(self, field, count):
        """Adds a group; the names of its nodes."""
        text = field.text()
        names = [text] if count == 1 else [f"{text}-{index + 1}" for index in range(count)]
        for name in names:
            if not NAME.fullmatch(name):
                raise field.failure(
                    f"'{name}' cannot be a node in the lab; expected are letters, digits, "
                    "'-' and '_', at most 40")
        for name in [*names, text]:
            if name in self.all or name in self._groups:
                raise field.failure(f"a second node or group is called '{name}'")
        if len(self.all) + count > NODES_MAX:
            raise field.failure(f"these are {len(self.all) + count} nodes; at most {NODES_MAX} "
                                "are planned")
        self._groups[text] = range(len(self.all), len(self.all) + count)
        self.all += names
        return names

    def nodes(self, field):
        """The nodes that a name stands for: one, or all of a group."""
        text = field.text()
        if text in self.all:
            index = self.all.index(text)
            return range(index, index + 1)
        if text in self._groups:
            return self._groups[text]
        raise field.failure(f"no node is called '{text}'; there are {', '.join(self.all)}")


def _nodes(field, names):
    members = field.members([
        "name", "count", "threads", "memory_bytes", "operations_per_second",
        "moved_bytes_per_second", "watts"])
    count = members["count"].whole(1, NODES_MAX, "nodes") if "count" in members else 1
    group = names.add(field.required(members, "name"), count)
    figures = {
        "threads": field.required(members, "threads").whole(1, THREADS_MAX, "threads"),
        "memory_bytes": field.required(members, "memory_bytes").whole(0, BYTES_MAX, "bytes"),
        "watts": members["watts"].number(0, WATTS_MAX, "watts") if "watts" in members else None}
    for key, unit in (("operations_per_second", "operations per second"),
                      ("moved_bytes_per_second", "bytes per second")):
        figures[key] = field.required(members, key).number(PER_SECOND_MIN, PER_SECOND_MAX, unit)
    return [Node(name=name, **figures) for name in group]


def _links(field, names):
    members = field.members(["default", "pairs", "medium_bits_per_second"])
    default = field.required(members, "default")
    usual = _link(default, default.members(["bits_per_second", "latency_seconds"]))
    medium = None
    if "medium_bits_per_second" in members:
        medium = rate(members["medium_bits_per_second"])
    count = len(names.all)
    links = [[usual] * count for _ in range(count)]
    pairs = _pairs(members["pairs"], names) if "pairs" in members else []
    for sources, targets, link in pairs:
        one_way = any(a == targets and b == sources for a, b, _ in pairs)
        for source in sources:
            for target in targets:
                links[source][target] = link
                if not one_way:
                    links[target][source] = link
    return tuple(map(tuple, links)), medium


def _pairs(field, names):
    result = []
    for element in field.list(PAIRS_MAX):
        members = element.members(["a", "b", "bits_per_second", "latency_seconds"])
        a = names.nodes(element.required(members, "a"))
        b = names.nodes(element.required(members, "b"))
        if a == b and len(a) == 1:
            raise members["b"].failure("a node has no link to itself")
        if any((a, b) == known[:2] for known in result):
            raise element.failure("this pair is given twice")
        result.append((a, b, _link(element, members)))
    return result


def _link(field, members):
    latency = field.required(members, "latency_seconds")
    return Link(rate(field.required(members, "bits_per_second")),
                latency.number(0, LATENCY_SECONDS_MAX, "seconds"))


def rate(field):
    """A rate in bits per second."""
    return field.number(BITS_PER_SECOND_MIN, BITS_PER_SECOND_MAX, "bits per second")
