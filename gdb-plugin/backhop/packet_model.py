# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of a run as Python objects, and how they look to the user. Plain: knows nothing of gdb.

The objects are those of `backhop packets --json`; docs/packets.md says what the words mean.
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from backhop.model import Event, Hop, Object
from backhop.text import format_time

# How a child is called: "a fragment of 795".
RELATIONS = {
    "fragment": "a fragment of",
    "segment": "a segment of",
    "encapsulation": "a tunnel around",
    "decapsulation": "what was in",
    "copy": "a copy of",
    "reply": "made in answer to",
    "caused": "made because of",
    "retransmission": "sent again, after",
}


@dataclass(frozen=True)
class PacketHop:
    node: str
    dev: str
    direction: str  # "tx", "rx"
    event: int
    vtime_ns: int
    hop: int

    @staticmethod
    def parse(data: Object) -> "PacketHop":
        return PacketHop(data["node"] or "?", data["dev"] or "?", data["dir"], data["event"],
                         data["vtime_ns"], data["hop"])


@dataclass(frozen=True)
class PacketEnd:
    kind: str  # "delivered", "dropped", "lost", "queued"
    node: str
    event: int
    vtime_ns: int
    pid: Optional[int]
    program: Optional[str]
    reason: Optional[str]
    function: Optional[str]

    @staticmethod
    def parse(data: Object) -> "PacketEnd":
        return PacketEnd(data["kind"], data["node"] or "?", data["event"], data["vtime_ns"],
                         data["pid"], data["program"], data["reason"], data["function"])

    def __str__(self) -> str:
        """`dropped r2 NETFILTER_DROP in nf_hook_slow`, as `backhop packets` says it."""
        words = [self.kind, self.node]
        if self.pid:
            words.append(f"{self.program or 'pid'}-{self.pid}")
        if self.reason:
            words.append(self.reason)
        if self.function:
            words.append(f"in {self.function}")
        return " ".join(words)


@dataclass(frozen=True)
class Origin:
    kind: str  # "unknown", "syscall", "task", "receive", "timer", "other"
    event: int
    vtime_ns: int
    pid: Optional[int]
    program: Optional[str]
    call: Optional[str]
    is_guess: bool

    @staticmethod
    def parse(data: Object) -> "Origin":
        return Origin(data["kind"], data["event"], data["vtime_ns"], data["pid"], data["program"],
                      data["call"], data["guess"])

    @property
    def task(self) -> str:
        return f"{self.program or 'process'}-{self.pid}"


@dataclass(frozen=True)
class Packet:
    id: int
    parent: Optional[int]
    relation: Optional[str]
    is_guess: bool  # of the relation
    lineage: int
    born_event: int
    born_ns: int
    origin: Origin
    source: str  # node
    length: int
    summary: str
    hops: Sequence[PacketHop]
    ends: Sequence[PacketEnd]  # the one that counts most comes first

    @staticmethod
    def parse(data: Object) -> "Packet":
        ends = data.get("ends") or [data["end"]]
        return Packet(data["id"], data["parent"], data["relation"], data["guess"],
                      data["lineage"], data["born_event"], data["born_ns"],
                      Origin.parse(data["origin"]), data["from"] or "?", data["length"],
                      data["summary"], [PacketHop.parse(hop) for hop in data["hops"]],
                      [PacketEnd.parse(end) for end in ends])


@dataclass(frozen=True)
class Page:
    """Some of the packets that a filter matches."""
    packets: Sequence[Packet]
    objects: Sequence[Object]  # the same, as they came
    following: Optional[int]  # the index that the next page begins with

    @staticmethod
    def parse(data: Object) -> "Page":
        return Page([Packet.parse(item) for item in data["packets"]], data["packets"],
                    data["next"])


@dataclass(frozen=True)
class Step:
    """Over a link, or (without `sent`) to the packet's end."""
    packet: Packet
    former: Optional[Packet]  # that was followed until here, if it is another
    sent: Optional[Event]
    arrived: Event

    @staticmethod
    def parse(data: Object) -> "Step":
        former, sent = data["former"], data["sent"]
        return Step(Packet.parse(data["packet"]), Packet.parse(former) if former else None,
                    Event.parse(sent) if sent else None, Event.parse(data["arrived"]))

    @property
    def hop(self) -> Hop:
        """Where it goes; to the end of the packet there is no link."""
        return Hop(self.sent or self.arrived, self.arrived)


@dataclass(frozen=True)
class Places:
    """What a packet break stops at."""
    number: int  # its bit in $packet_break
    address: int
    packets: int
    places: int

    @staticmethod
    def parse(data: Object) -> "Places":
        return Places(data["number"], data["address"], data["packets"], data["places"])


# --- how they look ---

LIST_HEAD = f"{'packet':>8} {'time':>14}  from  what; hops; end"


def describe_relation(packet: Packet) -> str:
    """`a fragment of 795`; empty for a packet without a parent."""
    if packet.parent is None or packet.relation is None:
        return ""
    guess = " (a guess)" if packet.is_guess else ""
    return f"{RELATIONS.get(packet.relation, packet.relation + ' of')} {packet.parent}{guess}"


def format_listed(packet: Packet) -> str:
    """The line of `info packets`, in the shape of `backhop packets`."""
    seconds = format_time(packet.born_ns)[:-1]
    line = (f"{packet.id:>8} {seconds:>14}  {packet.source}  {packet.summary}; "
            f"{len(packet.hops)} hops; {packet.ends[0]}")
    if packet.parent is not None:
        line += f"; {packet.relation} of {packet.parent}"
        line += " (guess)" if packet.is_guess else ""
    return line


def describe_origin(origin: Origin) -> str:
    when = f"at event {origin.event}, {format_time(origin.vtime_ns)}"
    guess = " (a guess)" if origin.is_guess else ""
    if origin.kind == "syscall":
        return f"made by {origin.task} in {origin.call or 'a system call'} {when}{guess}"
    if origin.kind == "task":
        return f"made by the kernel's task {origin.task} {when}{guess}"
    if origin.kind == "receive":
        return f"made by the kernel while it handled what it received {when}{guess}"
    if origin.kind == "timer":
        return f"made by the kernel when a timer fired {when}{guess}"
    return f"made by the kernel {when}{guess}"


def describe_packet(packet: Packet, children: Sequence[Packet]) -> str:
    """What `packet ID` prints."""
    lines = [f"packet {packet.id}: {packet.summary}",
             f"  from {packet.source} at event {packet.born_event}, "
             f"{format_time(packet.born_ns)}, {packet.length} bytes; "
             f"{describe_origin(packet.origin)}"]
    relation = describe_relation(packet)
    if relation:
        lines.append(f"  {relation}")
    if packet.lineage != packet.id:
        lines.append(f"  $packet is {packet.lineage} where it is handled")
    nodes: List[str] = []
    for hop in packet.hops:
        if not nodes or nodes[-1] != hop.node:
            nodes.append(hop.node)
    if nodes:
        lines.append(f"  way: {' '.join(nodes)}")
    for end in packet.ends:
        lines.append(f"  {end} at event {end.event}, {format_time(end.vtime_ns)}")
    lines += [f"  packet {child.id} is {describe_relation(child)}: {child.summary}"
              for child in children]
    return "\n".join(lines)


def hop_rows(packet: Packet, event: int) -> List[Tuple[str, str]]:
    """A mark and a line for each hop and each end that isn't a hop; the mark is where the replay
    is, as far as the packet has got then."""
    rows = [(hop.event, f"{packet.id}.{hop.hop}", f"{hop.node}:{hop.dev} {hop.direction}",
             hop.vtime_ns) for hop in packet.hops]
    seen = {row[0] for row in rows}
    rows += [(end.event, "", str(end), end.vtime_ns) for end in packet.ends
             if end.event not in seen]
    rows.sort(key=lambda row: row[0])
    reached = max((row[0] for row in rows if row[0] <= event), default=0)
    names = max([4] + [len(row[1]) for row in rows])
    return [("*" if number == reached else " ",
             f"{name:<{names}}  {number:>8}  {format_time(vtime_ns):>15}  {what}")
            for number, name, what, vtime_ns in rows]


def format_hops(packet: Packet, children: Sequence[Packet], event: int) -> str:
    """What `info hops` prints."""
    rows = hop_rows(packet, event)
    names = max([4] + [len(f"{packet.id}.{hop.hop}") for hop in packet.hops])
    lines = [f"packet {packet.id}: {packet.summary}",
             f"  {'Hop':<{names}}  {'Event':>8}  {'Time':>15}  Where"]
    lines += [f"{mark} {line}" for mark, line in rows]
    for end in packet.ends:
        if any(hop.event == end.event for hop in packet.hops):
            lines.append(f"  {end}")
    relation = describe_relation(packet)
    if relation:
        lines.append(f"  it is {relation}; `packet {packet.parent}` follows that")
    lines += [f"  {child.id} is {describe_relation(child)}, made on {child.source}"
              for child in children]
    return "\n".join(lines)


def format_trace(entries: Sequence[Object]) -> str:
    """What `packet trace` prints, in the shape of `backhop packets --trace`."""
    if not entries:
        return "No function of a kernel had it as an argument there."
    lines = [f"{'place':<16} {'time':>14}  node  function"]
    for entry in entries:
        place = f"{entry['event']}:{entry['tick']}:0"
        lines.append(f"{place:<16} {format_time(entry['vtime_ns'])[:-1]:>14}  {entry['node']}  "
                     f"{entry['function']}")
    return "\n".join(lines)


def describe_change(former: Packet, packet: Packet) -> str:
    """Which packet is followed now, and why."""
    if packet.parent == former.id:
        return f"packet {packet.id} is {describe_relation(packet)}"
    if former.parent == packet.id:
        return f"packet {former.id} is {describe_relation(former)}"
    return f"packet {packet.id} has to do with packet {former.id}"


def describe_step(step: Step) -> str:
    """What `hop` and `reverse-hop` print."""
    packet = step.packet
    line = f"{describe_change(step.former, packet)}; " if step.former else ""
    at = f"at event {step.arrived.event}, {format_time(step.arrived.vtime_ns)}"
    if step.sent is None:
        end = next((end for end in packet.ends if end.event == step.arrived.event),
                   packet.ends[0])
        return line + f"packet {packet.id} ends {at}: {end}"
    name = f"{packet.id}.{step.sent.hop}"
    line += (f"{step.sent.where} sent packet {name} at event {step.sent.event}, "
             f"{format_time(step.sent.vtime_ns)}; ")
    if step.arrived.kind == "lost":
        return line + f"the link lost it {at}"
    return line + f"{step.arrived.where} received it {at}"
