# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the time of a packet went. Plain: knows nothing of gdb.

A packet's way is cut at its hops, and its stay in a node at the kernel functions that had it:
virtual time that passed between two of them is a share, and the function that had it last tells
what held it. What a link takes is cut by the link's properties. Used by delay.py.
"""

import re
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from backhop.model import Event, Object
from backhop.packet_model import Packet, PacketHop

Place = Tuple[int, int, int]
Link = Dict[str, object]

# What programs are charged for their system calls is no delay of a packet's.
LEAST_NS = 1000
# So many frames may lie before one on its device.
MAX_AHEAD = 4096
PAGE = 200

# The last function that had a packet, and what that means.
HOLDERS: Sequence[Tuple[str, str]] = (
    (r"__neigh_event_send", "neighbour"),
    (r"dev_qdisc_enqueue|\w+_enqueue", "qdisc"),
    (r"ip_frag_\w+|ip_defrag|ip6_frag_\w+|ipv6_frag_rcv|nf_ct_frag6_\w+|inet_frag_\w+",
     "fragments"),
    (r"tcp_data_queue_ofo|tcp_ofo_\w+", "order"),
    (r"tcp_data_queue|tcp_queue_rcv|tcp_rcv_established|__udp_enqueue_schedule_skb|"
     r"sock_queue_rcv_skb\w*|__sock_queue_rcv_skb|raw_rcv|rawv6_rcv|sctp_ulpq_\w+|"
     r"ping_queue_rcv_skb", "reader"),
)
# Not queues, whatever they are called.
NO_QUEUES = re.compile(r"__udp_enqueue|tcp_|sock_|udp_")
# Functions that have a packet's buffer, or a copy of it, when somebody else keeps it already.
BYSTANDERS = re.compile(r"(__)?(skb_clone|skb_release|kfree_skb|consume_skb|copy_skb_header|"
                        r"skb_free|skb_headers|pskb_|skb_copy|sock_wfree|sock_rfree|napi_)|"
                        r"arp_solicit|ndisc_solicit|kfree_skbmem|packet_rcv|tpacket_rcv")


@dataclass(frozen=True)
class Entry:
    """A kernel function that had the packet."""

    place: Place
    vtime_ns: int
    node: str
    function: str

    @staticmethod
    def parse(data: Object) -> "Entry":
        return Entry((data["event"], data["tick"], 0), data["vtime_ns"], data["node"] or "?",
                     data["function"])

    @property
    def name(self) -> str:
        return self.function.split(".")[0]


@dataclass
class Share:
    """Time that passed between two places of a packet's way."""

    kind: str  # see TITLES
    node: str
    ns: int
    start: Place
    end: Place
    what: str = ""
    start_ns: int = 0
    last: Optional[Entry] = None  # the function that had it last before
    first: Optional[Entry] = None  # that had it first afterwards
    packets: List[int] = field(default_factory=list)  # that it has to do with
    link: Optional[Link] = None
    sent: Optional[Event] = None  # over the link


@dataclass(frozen=True)
class Leg:
    """From one hop of the packet to the next one; at the ends there is none."""

    begin: Optional[PacketHop]
    end: Optional[PacketHop]


# --- the way ---

def before_hop(packet: Packet, hop: PacketHop, cause: Callable[[int], int]) -> Optional[PacketHop]:
    """The hop that led to a hop: of an arrival its transmission, else the arrival before."""
    if hop.direction == "rx":
        wanted = cause(hop.event)
        return next((item for item in packet.hops if item.event == wanted), None)
    former = [item for item in packet.hops if item.event < hop.event and item.direction == "rx"]
    here = [item for item in former if item.node == hop.node and item.hop == hop.hop]
    if here or hop.event == packet.id:
        return here[-1] if here else None
    # Behind a tunnel, in which it was part of another packet.
    return former[-1] if former and hop.hop else None


def legs(packet: Packet, cause: Callable[[int], int]) -> List[Leg]:
    """The way to the packet's first end, from where it was made."""
    end = packet.ends[0]
    until = [hop for hop in packet.hops if hop.event <= end.event]
    there = [hop for hop in until if hop.node == end.node]
    candidates = there or until
    hop: Optional[PacketHop] = candidates[-1] if candidates else None
    found: List[Leg] = [Leg(hop, None)]
    while hop is not None and len(found) < 1000:
        former = before_hop(packet, hop, cause)
        found.insert(0, Leg(former, hop))
        hop = former
    return found


# --- in a node ---

def outermost(entries: Sequence[Entry]) -> Entry:
    """The queueing discipline of the device, where the last one is a part of it: tbf has a
    bfifo."""
    found = entries[-1]
    for entry in reversed(entries):
        if not entry.name.endswith("_enqueue"):
            break
        found = entry
    return found


def holder(entries: Sequence[Entry]) -> Tuple[str, Optional[Entry]]:
    """What holds a packet that went through these functions, and the one that tells so."""
    for index in range(len(entries) - 1, -1, -1):
        entry = entries[index]
        for pattern, kind in HOLDERS:
            if not re.fullmatch(pattern, entry.name):
                continue
            if kind == "qdisc" and NO_QUEUES.match(entry.name):
                continue
            return kind, outermost(entries[:index + 1]) if kind == "qdisc" else entry
        if not BYSTANDERS.match(entry.name):
            return "held", entry
    return "held", entries[-1] if entries else None


def stay(entries: Sequence[Entry], node: str, begin: Tuple[int, int],
         end: Tuple[int, int], is_whole: bool) -> List[Share]:
    """The shares of a stay in a node, between two events and their times. is_whole: to its end;
    else the last event is the transmission, and isn't part of the stay."""
    inside = [entry for entry in entries if entry.node == node and entry.place[0] >= begin[0] and
              (entry.place[0] < end[0] or (is_whole and entry.place[0] == end[0]))]
    found: List[Share] = []
    now, place, before = begin[1], (begin[0], 0, 0), 0
    for index, entry in enumerate(inside):
        if entry.vtime_ns - now >= LEAST_NS:
            kind, last = holder(inside[before:index])
            found.append(Share(kind, node, entry.vtime_ns - now, place, entry.place,
                               start_ns=now, last=last, first=entry))
            before = index
        now, place = max(now, entry.vtime_ns), entry.place
    if end[1] - now >= LEAST_NS:
        kind, last = holder(inside[before:])
        found.append(Share(kind, node, end[1] - now, place, (end[0], 0, 0), start_ns=now,
                           last=last))
    return found


# --- on a link ---

def serialisation(length: int, rate_bps: int) -> int:
    return -(-length * 8 * 1_000_000_000 // rate_bps) if rate_bps else 0


def number(link: Link, key: str) -> int:
    value = link.get(key)
    return value if isinstance(value, int) else 0


def sent_before(sent: Event, events: Callable[[int, int], List[Event]]) -> List[Event]:
    """What the device sent before a frame and its queue didn't lose, newest first."""
    found: List[Event] = []
    gone: Dict[int, int] = {item.cause: item.value for item in events(sent.event + 1, PAGE)
                            if item.kind == "lost"}
    until = sent.event - 1
    while until > 0 and sent.event - until < MAX_AHEAD:
        first = max(1, until - PAGE + 1)
        page = [item for item in events(first, until - first + 1) if item.event <= until]
        gone.update((item.cause, item.value) for item in page if item.kind == "lost")
        found += [item for item in reversed(page) if item.kind == "tx" and item.node == sent.node
                  and item.device == sent.device]
        until = first - 1
        if found and sent.vtime_ns - found[-1].vtime_ns > 10_000_000_000:
            break
    return [item for item in found if gone.get(item.event, 1) == 1]


def waited_for_wire(sent: Event, former: Sequence[Event], rate_bps: int) -> int:
    """How long frames that were sent before kept the wire, where jitter hides it."""
    busy = 0
    for item in reversed(former):
        busy = max(busy, item.vtime_ns) + serialisation(item.length, rate_bps)
    return max(0, busy - sent.vtime_ns)


def ahead(former: Sequence[Event], wait_ns: int, rate_bps: int) -> List[Event]:
    """The frames that took the wire while one waited for so long, the first one first."""
    found: List[Event] = []
    taken = 0
    for item in former:
        if taken >= wait_ns:
            break
        taken += serialisation(item.length, rate_bps)
        found.insert(0, item)
    return found


def over_link(sent: Event, arrived: Event, device: str, link: Optional[Link],
              far: Optional[Link], former: Callable[[], List[Event]]) -> List[Share]:
    """The shares of a way over a link, or from one device of a segment (link) to another (far)."""
    total = arrived.vtime_ns - sent.vtime_ns
    name = f"{sent.where}:{device}"
    start, end = (sent.event, 0, 0), (arrived.event, 0, 0)

    def share(kind: str, ns: int, what: str) -> Share:
        return Share(kind, name, ns, start, end, what, sent.vtime_ns, link=link, sent=sent)

    whole = [share("link", total, f"on the link from {name} to {arrived.where}")]
    if link is None or (number(link, "is_on_segment") and far is None):
        return whole
    rate, delay = number(link, "rate_bps"), number(link, "delay_ns")
    size = serialisation(sent.length, rate)
    if number(link, "is_on_segment") and far is not None:
        delay += number(far, "receives_delay_ns")
        size += serialisation(sent.length, number(far, "receives_rate_bps"))
    wait = total - size - delay
    frames: List[Event] = []
    if rate and (wait > 0 or number(link, "jitter_ns")) and not number(link, "is_on_segment"):
        before = former()
        if number(link, "jitter_ns"):
            wait = min(waited_for_wire(sent, before, rate), total - size)
            delay = total - size - wait
        frames = ahead(before, wait, rate) if wait > 0 else []
    elif number(link, "jitter_ns"):
        wait, delay = 0, total - size
    if wait < 0 or delay < 0:
        return whole  # reordered, or changed while it was on its way
    line = f"line {number(link, 'line')} of the scenario"
    found: List[Share] = []
    if wait >= LEAST_NS:
        ids = [item.packet for item in frames]
        behind = f"behind {count(len(ids), 'frame')}" if ids else "in a queue"
        found.append(share("queue", wait, f"waiting for the link at {name}, {behind}"))
        found[-1].packets = ids
    if size >= LEAST_NS:
        found.append(share("rate", size, f"{sent.length} bytes at {rate} bit/s on the link at "
                           f"{name} ({line})"))
    if delay >= LEAST_NS:
        jitter = " with its jitter" if number(link, "jitter_ns") else ""
        found.append(share("propagation", delay, f"the delay of the link from {name} to "
                           f"{arrived.where}{jitter} ({line})"))
    return found


def count(amount: int, noun: str) -> str:
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def listed(ids: Sequence[int]) -> str:
    """`packets 581, 582, ..., 587`."""
    if len(ids) == 1:
        return f"packet {ids[0]}"
    shown = [str(item) for item in ids]
    return "packets " + (", ".join(shown) if len(ids) <= 4
                         else f"{', '.join(shown[:2])}, ..., {shown[-1]}")
