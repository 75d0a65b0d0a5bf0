# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that follow packets: info packets, packet, info hops, hop, reverse-hop, packet
origin, packet trace, packet break.

Which packet is selected is remembered here. `hop` and `reverse-hop` follow it through the server's
table of packets; without a selected packet they follow the causes of events, which the trace alone
tells.
"""

import json
from typing import Any, Dict, Iterator, List, Optional, Tuple

import gdb

from backhop import client, moves, origin, text
from backhop import packet_model as model
from backhop.base import Command, Completion, node_names
from backhop.model import Fault, Hop, Position
from backhop.packet_model import Page, Places, Step

# Packets asked for at a time.
PAGE = 200
FILTER_WORDS = ("dropped", "lost", "delivered", "queued", "at", "from", "to", "reaching", "not",
                "and", "or", "host", "net", "port", "src", "dst", "ip", "ip6", "arp", "icmp",
                "icmp6", "tcp", "udp", "vlan", "ether", "--json")

_selected: Optional[int] = None


def selected() -> Optional[int]:
    """The id of the selected packet."""
    return _selected


def select(packet: Optional[int]) -> None:
    global _selected
    _selected = packet


def take_json(argument: str) -> Tuple[bool, str]:
    """Whether --json is said, and the rest; quotes around all of it are the user's habit."""
    words = argument.split()
    is_json = "--json" in words
    rest = " ".join(word for word in words if word != "--json") if is_json else argument.strip()
    if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "'\"":
        rest = rest[1:-1]
    return is_json, rest


def pages(filter_text: str) -> Iterator[Page]:
    index: Optional[int] = 0
    while index is not None:
        page = client.packets(index, PAGE, filter_text)
        yield page
        index = page.following


def complete_filter(argument: str, word: str) -> Completion:
    words = argument.split()
    before = words[-1] if words and argument.endswith(" ") else words[-2] if len(words) > 1 else ""
    names = node_names() if before in ("at", "from", "to", "reaching") else list(FILTER_WORDS)
    return [name for name in names if name.startswith(word)]


class InfoPackets(Command):
    """List the packets of the run: info packets [--json] [FILTER]

  info packets                         all of them
  info packets icmp and dropped        pcap-filter(7) syntax, and more words:
  info packets tcp port 80 and at r1 and not reaching h2

These words are joined to the rest by `and`, each perhaps after `not`: dropped,
lost, delivered, queued; at NODE, from NODE, to NODE, reaching NODE (it, or what
was made of it, was received there).

The first time, the run is gone through once more to see its frames; what was
found is kept for later sessions. `packet ID` selects one, `goto ID.HOP` goes
where it was sent or received. --json prints one object a line, as
`backhop packets --json` does."""

    def __init__(self) -> None:
        super().__init__("info packets", gdb.COMMAND_STATUS)

    def complete(self, argument: str, word: str) -> Completion:
        return complete_filter(argument, word)

    def run(self, argument: str) -> None:
        is_json, filter_text = take_json(argument)
        count = 0
        for page in pages(filter_text):
            if not is_json and page.packets and not count:
                print(model.LIST_HEAD)
            count += len(page.packets)
            for packet, data in zip(page.packets, page.objects):
                print(json.dumps(data) if is_json else model.format_listed(packet))
        if not count and not is_json:
            print(f"No packet matches '{filter_text}'." if filter_text
                  else "No packet was sent in this run.")


def parse_id(word: str) -> int:
    if not word.isdigit():
        raise Fault(f"'{word}' is no packet's number; `info packets` lists them")
    return int(word)


def need_selected() -> int:
    if _selected is None:
        raise Fault("no packet is selected; select one with `packet ID`, `info packets` lists "
                    "them")
    return _selected


def show(number: int, is_json: bool) -> None:
    packet, children, data = client.packet(number)
    select(packet.id)
    print(json.dumps(data) if is_json else model.describe_packet(packet, children))


class PacketPrefix(Command):
    """Select a packet and tell what is known of it: packet ID

  packet 795            the packet that began at event 795; any other event of
                        it will do, too
  packet                the selected one again
  packet none           none is selected any more
  packet origin         go to the system call or the timer that made it
  packet trace          the kernel functions that handled it
  packet break FILTER   stop where packets that match are received or sent

`hop` and `reverse-hop` then follow it, over fragments, tunnels, address
translation and copies; `info hops` lists its way. --json prints objects."""

    def __init__(self) -> None:
        super().__init__("packet", gdb.COMMAND_RUNNING, prefix=True)

    def run(self, argument: str) -> None:
        is_json, word = take_json(argument)
        if word == "none":
            select(None)
            print("No packet is selected.")
            return
        show(parse_id(word) if word else need_selected(), is_json)


class InfoHops(Command):
    """List the way of the selected packet: info hops [ID]

Each line can be gone to: `goto ID.HOP`, or `goto EVENT`. `*` is how far the
packet has got where the replay is. --json prints the packet as an object."""

    def __init__(self) -> None:
        super().__init__("info hops", gdb.COMMAND_STATUS)

    def run(self, argument: str) -> None:
        is_json, word = take_json(argument)
        packet, children, data = client.packet(parse_id(word) if word else need_selected())
        print(json.dumps(data) if is_json
              else model.format_hops(packet, children, client.position().event))


# --- hops ---

def node_of(position: Position) -> Optional[int]:
    if position.node is not None:
        return position.node
    return client.event(position.event).node


def take_step(direction: str) -> Step:
    """Where the selected packet is taken by a hop; it becomes the one that is followed there."""
    position = client.position()
    step = client.packet_hop(direction, need_selected(), position.event, position.node)
    select(step.packet.id)
    return step


def hop_back() -> Tuple[Hop, str]:
    """Moves; what it went over, and that in words."""
    if selected() is not None:
        step = take_step("back")
        hop, told = step.hop, model.describe_step(step)
    else:
        position = client.position()
        node = node_of(position)
        if node is None:
            raise Fault(f"event {position.event} happens on no node; go to one of a node "
                        "first, `goto failure` for example")
        hop = client.hop_back(position.event, node)
        told = text.describe_hop(hop)
    moves.go(str(hop.sent.event))
    return hop, told


def hop_forward() -> Tuple[Hop, str]:
    """The same. At the packet's end, both events of the hop are that."""
    if selected() is not None:
        step = take_step("forward")
        hop, told = step.hop, model.describe_step(step)
    else:
        hop = client.hop_forward(client.position().event)
        told = text.describe_hop(hop)
    moves.go(str(hop.arrived.event))
    return hop, told


class ReverseHop(Command):
    """Go back over the wire: to where the frame that is being handled was sent.

From anything that a received frame led to, on the node that has the CPU, this
goes to the sender, to the event of the transmission, and selects the frame of
its driver's transmit function. Its whole stack and variables are there; again
`reverse-hop` goes one node further back.

With a packet selected (`packet ID`) it follows that: also out of fragments and
tunnels, back to what they were made of. `packet origin` goes on from the first
transmission to what made the packet."""

    def __init__(self) -> None:
        super().__init__("reverse-hop", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        _, told = hop_back()
        print(told)
        moves.select_node_frame()


class ForwardHop(Command):
    """Go forward over the wire: to where the next frame that is sent arrives.

If the link loses the frame, this goes to the event of the loss.

With a packet selected (`packet ID`) it follows that, also into fragments and
tunnels that a node makes of it and out of them again; behind its last arrival
it goes to where the packet was dropped or read."""

    def __init__(self) -> None:
        super().__init__("hop", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        _, told = hop_forward()
        print(told)


# --- packet origin ---

class PacketOrigin(Command):
    """Go to what made the selected packet: the system call, with the program's stack, or the timer.

  packet origin [ID]

The program's own frame is selected, where it called. For what the kernel made
by itself this goes to the event: the timer, or the frame that it answered."""

    def __init__(self) -> None:
        super().__init__("packet origin", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        packet, _, _ = client.packet(parse_id(argument) if argument else need_selected())
        select(packet.id)
        origin.go(packet)


# --- packet trace ---

class PacketTrace(Command):
    """List the kernel functions that handled a packet: packet trace [ID] [--node NODE]

On every node or on one, in the order in which they were entered with one of the
packet's buffers, with the virtual time. Nothing is lost: the run is gone
through once more for it. Each line begins with the place, so
`goto EVENT:TICK:0` stops there. --json prints one object a line."""

    def __init__(self) -> None:
        super().__init__("packet trace", gdb.COMMAND_STATUS)

    def complete(self, argument: str, word: str) -> Completion:
        words = argument.split()
        is_node = "--node" in (words[-1:] if argument.endswith(" ") else words[-2:-1])
        names = node_names() if is_node else ["--node", "--json"]
        return [name for name in names if name.startswith(word)]

    def run(self, argument: str) -> None:
        is_json, rest = take_json(argument)
        number, node = parse_trace(rest.split())
        found = client.packet_trace(need_selected() if number is None else number, node)
        if is_json:
            for item in found:
                print(json.dumps(item))
        else:
            print(model.format_trace(found))


def parse_trace(words: List[str]) -> Tuple[Optional[int], str]:
    """[ID] [--node NODE], in either order; without --node the node is ""."""
    node = ""
    if "--node" in words:
        at = words.index("--node")
        if at + 1 == len(words):
            raise Fault("--node wants a node; `info nodes` lists them")
        node = words[at + 1]
        words = words[:at] + words[at + 2:]
    if len(words) > 1:
        raise Fault(f"packet trace takes one packet and --node NODE, not '{words[1]}'")
    return (parse_id(words[0]) if words else None), node


# --- packet break ---

_breaks: Dict[int, Tuple[int, str]] = {}  # by gdb's number: the server's, and the filter


def forget_break(breakpoint: gdb.Breakpoint) -> None:
    entry = _breaks.pop(breakpoint.number, None)
    if entry is None:
        return
    try:
        client.packet_unbreak(entry[0])
    except (Fault, gdb.error):
        pass  # the connection is gone, and all of them with it


def tell_place(event: Any) -> None:
    """After a stop at packet breaks: which packet it is, and where."""
    if not isinstance(event, gdb.BreakpointEvent):
        return
    if any(item.number in _breaks for item in event.breakpoints):
        try:
            print(text.describe_event(client.event(client.position().event)))
        except (Fault, gdb.error):
            return
        moves.select_caller_of_simulator()


def list_breaks() -> str:
    lines: List[str] = []
    for item in gdb.breakpoints():
        if item.number in _breaks:
            lines.append(f"{item.number}  {'' if item.enabled else '(disabled) '}"
                         f"{_breaks[item.number][1] or 'all packets'}, hit {item.hit_count} times")
    return "\n".join(lines) or "There are no packet breaks; `help packet break` tells how to set " \
        "one."


def plant(filter_text: str) -> Tuple[int, Places]:
    """Sets a packet break: gdb's number of it, and what it stops at."""
    places = client.packet_break(filter_text)
    before = {item.number for item in gdb.breakpoints()}
    try:
        gdb.execute(f"break *{places.address:#x} if $packet_break & {1 << places.number}",
                    to_string=True)
    except gdb.error:
        client.packet_unbreak(places.number)
        raise
    created = next(item for item in gdb.breakpoints() if item.number not in before)
    _breaks[created.number] = (places.number, filter_text)
    return created.number, places


class PacketBreak(Command):
    """Stop where packets that match are received, sent, dropped or lost.

  packet break FILTER [at NODE] [not reaching NODE]

  packet break icmp at r1              where r1 receives or sends one
  packet break tcp port 80 not reaching h2
                                       those that h2 never receives
  packet break dropped                 the way of what is dropped in the end

FILTER is as in `info packets`. It is a breakpoint of gdb's, for continue and
for reverse-continue: `delete`, `disable`, `condition`, `commands` and `ignore`
work on its number; stepping commands pass it. Without FILTER it lists what
there is. In other conditions, its bit of $packet_break says that the newest
event is one of its places."""

    def __init__(self) -> None:
        super().__init__("packet break", gdb.COMMAND_BREAKPOINTS)
        gdb.events.breakpoint_deleted.connect(forget_break)
        gdb.events.stop.connect(tell_place)

    def complete(self, argument: str, word: str) -> Completion:
        return complete_filter(argument, word)

    def run(self, argument: str) -> None:
        _, filter_text = take_json(argument)
        if not filter_text:
            print(list_breaks())
            return
        number, places = plant(filter_text)
        print(f"Breakpoint {number}: {places.places} places of {places.packets} packets "
              f"that match '{filter_text}'.")


def register() -> None:
    for command in (InfoPackets, PacketPrefix, InfoHops, ReverseHop, ForwardHop, PacketOrigin,
                    PacketTrace, PacketBreak):
        command()


def forget() -> None:
    """A connection begins: what was selected in another one is no more."""
    select(None)
    _breaks.clear()
