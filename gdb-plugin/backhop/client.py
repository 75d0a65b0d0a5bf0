# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the server: the plugin's side of the private packets of docs/remote-protocol.md. Of a live
run, which has no server, live.py finds some of the answers."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import gdb

from backhop import flow, live
from backhop.model import Event, Fault, Hop, Moment, Node, Object, Position, Run, decode_reply
from backhop.packet_model import Packet, Page, Places, Step

# The table of packets is made when it is first asked for: that takes as long as the run did.
TABLE_TIMEOUT_S = 24 * 3600

_has_noted_missing = False


def ask(packet: str) -> Any:
    connection = gdb.selected_inferior().connection
    if not isinstance(connection, gdb.RemoteTargetConnection) or not live.is_replay(connection):
        if live.is_live():
            raise Fault("this is a run that goes on, it can't be moved in nor asked about its "
                        "events; record it with `backhop record` and replay it")
        raise Fault("no replay is connected; start one with `backhop replay FILE`, or connect to "
                    "one with `backhop connect HOST:PORT`")
    return decode_reply(connection.send_packet(packet))


def run() -> Run:
    return Run.parse(ask("qBackhop:run"))


def branch_note() -> Optional[str]:
    """What the user has to be told of the throw-away branch, if there is one and they weren't."""
    note: Optional[str] = ask("qBackhop:branch")["note"]
    return note


def nodes() -> List[Node]:
    if live.is_live():
        return live.nodes()
    return [Node.parse(item) for item in ask("qBackhop:nodes")]


def position() -> Position:
    if live.is_live():
        return live.position()
    return Position.parse(ask("qBackhop:position"))


def event(number: int) -> Event:
    return Event.parse(ask(f"qBackhop:event:{number}"))


def events(first: int, count: int) -> List[Event]:
    return [Event.parse(item) for item in ask(f"qBackhop:events:{first}:{count}")]


def place(text: str) -> int:
    """The event of a place that `goto` takes."""
    return int(ask("qBackhop:place:" + text.encode().hex())["event"])


def hop_back(number: int, node: int) -> Hop:
    return Hop.parse(ask(f"qBackhop:hop-back:{number}:{node}"))


def hop_forward(number: int) -> Hop:
    return Hop.parse(ask(f"qBackhop:hop-forward:{number}"))


def stop_at_images(is_wanted: bool) -> None:
    """Moves are interrupted where programs are loaded."""
    ask(f"QBackhop:stop-at-images:{int(is_wanted)}")


def arm(place: str) -> None:
    """The next resume of the replay goes to this place."""
    ask("QBackhop:goto:" + place.encode().hex())


# --- the past, see flow.py ---

def _place(place: Sequence[int]) -> str:
    return ":".join(str(number) for number in place)


def code(ranges: Sequence[Tuple[int, int]]) -> flow.Function:
    """The code of a function, which lies in one range or two."""
    return flow.Function(flow.Instruction.parse(item) for low, high in ranges
                         for item in ask(f"qBackhop:code:{low:x}:{high:x}"))


def path(function: flow.Function, ranges: Sequence[Tuple[int, int]], entry_sp: int,
         start: flow.Place, until: flow.Place) -> flow.Path:
    """entry_sp 0: the function is entered soon after start; else it is looked for before until."""
    low, high = ranges[0]
    cold_low, cold_high = ranges[1] if len(ranges) > 1 else (0, 0)
    reply = ask(f"qBackhop:path:{low:x}:{high:x}:{cold_low:x}:{cold_high:x}:{entry_sp:x}:"
                f"{_place(start)}:{_place(until)}")
    return flow.Path(function, [flow.Step.parse(item) for item in reply["steps"]],
                     reply["is_complete"])


def last_write(address: int, length: int, before: flow.Place) -> Optional[Moment]:
    reply = ask(f"qBackhop:last-write:{address:x}:{length}:{_place(before)}")
    return Moment.parse(reply) if reply else None


def last_call(address: int, before: flow.Place, since: int = 0) -> Optional[Moment]:
    """since: an event; 0: back to the run's beginning."""
    reply = ask(f"qBackhop:last-call:{address:x}:{_place(before)}" + (f":{since}" if since else ""))
    return Moment.parse(reply) if reply else None


def links(node: int, at: int = 0) -> List[Dict[str, Any]]:
    """The ends of links at a node: with what they begin, or as they are at an event."""
    found: List[Dict[str, Any]] = ask(f"qBackhop:links:{node}" + (f":{at}" if at else ""))
    return found


def packet_events(packet: int) -> List[Event]:
    return [Event.parse(item) for item in ask(f"qBackhop:packet-events:{packet}")]


def drops(until: int, count: int) -> List[Event]:
    """The last drops and losses not after an event, newest first."""
    return [Event.parse(item) for item in ask(f"qBackhop:drops:{until}:{count}")]


# --- packets ---

def ask_packets(packet: str) -> Any:
    timeout = gdb.parameter("remotetimeout")
    gdb.execute(f"set remotetimeout {TABLE_TIMEOUT_S}")
    try:
        return ask(packet)
    finally:
        gdb.execute(f"set remotetimeout {timeout}")


def note_missing(image: Optional[str]) -> None:
    """Once a session: what can't be known here, and why."""
    global _has_noted_missing
    if image and not _has_noted_missing:
        gdb.write(f"{image} has no debug information (image.debug) beside it: which program made "
                  "or read a packet isn't known.\n", gdb.STDERR)
    _has_noted_missing |= image is not None


def packets(index: int, count: int, filter_text: str) -> Page:
    """Up to count packets that match, from the index on."""
    data = ask_packets(f"qBackhop:packets:{index}:{count}:" + filter_text.encode().hex())
    note_missing(data["missing"])
    return Page.parse(data)


def packet(number: int) -> Tuple[Packet, List[Packet], Object]:
    """A packet by its id or an event of it, its children, and the packet as it came."""
    data = ask_packets(f"qBackhop:packet:{number}")
    note_missing(data["missing"])
    return (Packet.parse(data["packet"]), [Packet.parse(child) for child in data["children"]],
            data["packet"])


def packet_hop(direction: str, number: int, at: int, node: Optional[int]) -> Step:
    """From where a packet is when `at` is the newest event and node has the CPU: over the next
    link, "forward" or "back"."""
    place = -1 if node is None else node
    return Step.parse(ask_packets(f"qBackhop:packet-hop:{direction}:{number}:{at}:{place}"))


def packet_trace(number: int, node: str) -> List[Object]:
    """The functions that handled a packet, on a node or ("") on all."""
    found: List[Object] = ask_packets(f"qBackhop:packet-trace:{number}:" + node.encode().hex())
    return found


def packet_break(filter_text: str) -> Places:
    return Places.parse(ask_packets("QBackhop:packet-break:" + filter_text.encode().hex()))


def packet_unbreak(number: int) -> None:
    ask(f"QBackhop:packet-unbreak:{number}")
