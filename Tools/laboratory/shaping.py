"""Which links a topology has, as lines for `ip`, `tc` and `nft`. Pure: nothing is run here.

Every device has one network device, `eth0`, whose other end is a port of the lab's switch (bridge).
What a device sends is shaped at its `eth0`, what it receives at its port. A shared medium is one
more queue through which every frame passes once, whoever sent it.
"""

import dataclasses
import re

from .errors import UsageError

BRIDGE, MEDIUM, DEVICE = "br0", "medium0", "eth0"
NETWORK, PREFIX_BITS = "10.77.0.", 24
FRAME_BYTES = 1_514
# What may pass at once beyond the rate: two frames at least, else what 2 ms carry. More would let
# small tensors through at any speed, less would not reach the rate.
BURST_SECONDS, BURST_BYTES_MIN = 0.002, 2 * FRAME_BYTES
# What may wait at a port before frames are dropped, as in small switches.
QUEUE_SECONDS, QUEUE_BYTES_MIN, QUEUE_BYTES_MAX = 0.05, 64 << 10, 4 << 20
# Loss is drawn in parts of a million.
LOSS_PARTS = 1_000_000
RATE = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)(|k|m|g)(?:bit(?:/s|ps)?)?")


def port(index):
    """The switch's port of a device."""
    return f"p{index + 1}"


def address(index):
    """The address of a device."""
    return f"{NETWORK}{index + 1}"


def hardware_address(index):
    """The hardware address of a device; locally administered."""
    return f"02:77:00:00:00:{index + 1:02x}"


def switch_lines():
    """`ip` lines that make the switch; multicast goes everywhere, as without snooping."""
    return [
        "link set lo up",
        f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set {BRIDGE} up"]


def device_lines(index):
    """`ip` lines inside a device, once its cable is there."""
    return [
        "link set lo up",
        f"addr add {address(index)}/{PREFIX_BITS} brd + dev {DEVICE}",
        f"link set {DEVICE} up",
        # Multicast of any group has to find a way; there is nobody beyond.
        f"route add default dev {DEVICE}"]


def bits_per_second(text):
    """The rate that a person wrote: 20mbit, 1gbit, 500k, 2.5e6; None for `off`."""
    if text == "off":
        return None
    match = RATE.fullmatch(text.lower())
    if not match:
        raise UsageError(f"'{text}' is no rate; expected is such as 20mbit, 1gbit, 2.5e6 or off")
    value = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]]
    if not 1e3 <= value <= 1e15:
        raise UsageError(f"the rate {text} is not between 1kbit and 1e15 bits per second")
    return value


def bucket(rate):
    """The queue that lets through so many bits per second."""
    burst = max(BURST_BYTES_MIN, int(rate / 8 * BURST_SECONDS))
    queue = min(max(QUEUE_BYTES_MIN, int(rate / 8 * QUEUE_SECONDS)), QUEUE_BYTES_MAX)
    return f"tbf rate {rate:.0f}bit burst {burst} limit {queue + burst}"


def _sent(topology, index):
    return [topology.links[index][other] for other in range(len(topology.nodes)) if other != index]


def _received(topology, index):
    return [topology.links[other][index] for other in range(len(topology.nodes)) if other != index]


def _binds(topology, rate):
    # A way as fast as the medium that it shares is bound by that alone.
    return not topology.medium_bits_per_second or rate < topology.medium_bits_per_second


def sending_lines(topology, index, override=None):
    """`tc` lines for what a device sends: one rate, or one for each destination within the
    fastest."""
    # Whatever was there goes first: kinds of queues cannot be changed into each other.
    lines = [f"qdisc replace dev {DEVICE} root handle 9: pfifo limit 1000"]
    rates = {link.bits_per_second for link in _sent(topology, index)}
    if override:
        return lines + [f"qdisc replace dev {DEVICE} root handle 1: {bucket(override)}"]
    if not rates or not _binds(topology, min(rates)):
        return lines
    if len(rates) == 1:
        return lines + [f"qdisc replace dev {DEVICE} root handle 1: {bucket(min(rates))}"]
    fastest = max(rates)
    count = len(topology.nodes)
    burst = max(BURST_BYTES_MIN, int(fastest / 8 * BURST_SECONDS))

    def class_line(number, parent, rate, ceiling):
        return (f"class add dev {DEVICE} parent {parent} classid 2:{number:x} htb "
                f"rate {rate:.0f}bit ceil {ceiling:.0f}bit burst {burst} cburst {burst}")
    # What goes to everybody, and what is no IP, is in the last class.
    everybody = count + 1
    lines += [
        f"qdisc replace dev {DEVICE} root handle 2: htb default {everybody:x}",
        class_line(0xff, "2:", fastest, fastest),
        class_line(everybody, "2:ff", fastest / (count + 1), fastest)]
    for other in range(count):
        if other == index:
            continue
        rate = topology.links[index][other].bits_per_second
        lines += [
            # A fair part for sure, and all of the link while others are silent.
            class_line(other + 1, "2:ff", min(rate, fastest / (count + 1)), rate),
            f"filter add dev {DEVICE} parent 2: protocol ip prio 1 u32 match ip dst "
            f"{address(other)}/32 flowid 2:{other + 1:x}"]
    return lines


def receiving_lines(topology, index, override=None):
    """`tc` lines at the switch for what a device receives."""
    name = port(index)
    lines = [f"qdisc replace dev {name} root handle 9: pfifo limit 1000"]
    rates = [link.bits_per_second for link in _received(topology, index)]
    rate = override or (max(rates) if rates else None)
    if rate and (override or _binds(topology, rate)):
        lines.append(f"qdisc replace dev {name} root handle 1: {bucket(rate)}")
    return lines


def medium_lines(topology):
    """`ip` and `tc` lines at the switch that make the shared medium, if there is one."""
    if not topology.medium_bits_per_second:
        return [], []
    return (
        [f"link add {MEDIUM} type ifb", f"link set {MEDIUM} up"],
        [f"qdisc replace dev {MEDIUM} root handle 1: {bucket(topology.medium_bits_per_second)}"])


def medium_port_lines(topology, index):
    """`tc` lines that lead what comes from a device through the medium."""
    if not topology.medium_bits_per_second:
        return []
    return [
        f"qdisc add dev {port(index)} ingress",
        f"filter add dev {port(index)} parent ffff: protocol all u32 match u32 0 0 "
        f"action mirred egress redirect dev {MEDIUM}"]


@dataclasses.dataclass
class Faults:
    """What is wrong with the links: pairs that do not hear each other, devices that nobody hears,
    and how many of a device's frames are lost each way."""
    cuts: set = dataclasses.field(default_factory=set)
    isolated: set = dataclasses.field(default_factory=set)
    loss: dict = dataclasses.field(default_factory=dict)

    def cut(self, a, b):
        """Cuts a pair, both ways."""
        self.cuts.add((min(a, b), max(a, b)))

    def document(self):
        """As JSON takes it."""
        return {"cuts": sorted(self.cuts), "isolated": sorted(self.isolated),
                "loss": sorted(self.loss.items())}

    @classmethod
    def read(cls, document):
        """From its document."""
        return cls({tuple(pair) for pair in document["cuts"]}, set(document["isolated"]),
                   dict(document["loss"]))

    def rules(self):
        """The whole rule set for `nft -f`, replacing what holds."""
        lines = ["table bridge lab", "delete table bridge lab"]
        if not (self.cuts or self.isolated or self.loss):
            return "\n".join(lines) + "\n"
        lines += ["table bridge lab {", "  chain between {",
                  "    type filter hook forward priority 0; policy accept;"]
        for a, b in sorted(self.cuts):
            for source, target in ((a, b), (b, a)):
                lines.append(f'    iifname "{port(source)}" oifname "{port(target)}" drop')
        for index in sorted(self.isolated):
            lines += [f'    {side} "{port(index)}" drop' for side in ("iifname", "oifname")]
        for index, share in sorted(self.loss.items()):
            parts = round(share * LOSS_PARTS)
            lines += [f'    {side} "{port(index)}" numgen random mod {LOSS_PARTS} < {parts} drop'
                      for side in ("iifname", "oifname") if parts]
        return "\n".join(lines + ["  }", "}"]) + "\n"
