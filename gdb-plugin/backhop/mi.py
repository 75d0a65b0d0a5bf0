# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands as a front end types them in gdb's machine interface: -backhop-nodes and so on.

gdb 12 and later know MI commands in Python; for older ones there is `--json` (see data.py).
"""

from typing import Any, Callable, Dict, List, Optional

import gdb

from backhop import client, data, moves, node_commands, origin, packet_commands, timeline, \
    why_command
from backhop.model import Fault, Hop, Object


def run(_arguments: List[str]) -> Object:
    run = client.run()
    return {"scenario": run.scenario, "seed": run.seed, "events": run.events,
            "is_complete": run.is_complete,
            "failures": [{"what": item.what, "node_name": item.node, "vtime_ns": item.vtime_ns,
                          "event": item.event, "detail": item.detail} for item in run.failures]}


def nodes(_arguments: List[str]) -> Object:
    selected = moves.selected_node()
    return {"nodes": [data.of_node(node, selected) for node in client.nodes()]}


def position(_arguments: List[str]) -> Object:
    return {"position": data.of_position(client.position())}


def events(arguments: List[str]) -> Object:
    found = timeline.choose(" ".join(arguments))
    return {"events": [data.of_event(event) for event in found.events], "now": found.now}


def goto(arguments: List[str]) -> Object:
    if len(arguments) != 1:
        raise Fault("-backhop-goto takes one place")
    moves.go(arguments[0])
    return position([])


def node_break(arguments: List[str]) -> Object:
    if len(arguments) < 2:
        raise Fault("-backhop-node-break takes NODES LOCATION [if CONDITION]")
    return {"breakpoints": [item.number for item
                            in node_commands.plant(" ".join(arguments), False)]}


def node_select(arguments: List[str]) -> Object:
    if not 1 <= len(arguments) <= 2:
        raise Fault("-backhop-node-select takes NODE [TASK]")
    node_commands.select_node(arguments[0], arguments[1] if len(arguments) == 2 else None)
    thread = gdb.selected_thread()
    return {"thread_id": thread.num if thread is not None else None}


# --- packets; see packet_commands.py ---

def packets(arguments: List[str]) -> Object:
    return {"packets": [item for page in packet_commands.pages(" ".join(arguments))
                        for item in page.objects]}


def packet(arguments: List[str]) -> Object:
    """Selects it, if it is named."""
    if len(arguments) > 1:
        raise Fault("-backhop-packet takes the number of one packet, or nothing")
    found, children, objects = client.packet(packet_commands.parse_id(arguments[0]) if arguments
                                             else packet_commands.need_selected())
    packet_commands.select(found.id)
    return {"packet": objects, "children": [child.id for child in children]}


def moved(hop: Hop) -> Object:
    return {"packet": packet_commands.selected(), "sent": data.of_event(hop.sent),
            "arrived": data.of_event(hop.arrived), **position([])}


def hop(_arguments: List[str]) -> Object:
    return moved(packet_commands.hop_forward()[0])


def reverse_hop(_arguments: List[str]) -> Object:
    return moved(packet_commands.hop_back()[0])


def packet_origin(arguments: List[str]) -> Object:
    packet(arguments)
    origin.go(client.packet(packet_commands.need_selected())[0])
    return position([])


def packet_trace(arguments: List[str]) -> Object:
    number, node = packet_commands.parse_trace(arguments)
    number = packet_commands.need_selected() if number is None else number
    return {"functions": client.packet_trace(number, node)}


def packet_break(arguments: List[str]) -> Object:
    if not arguments:
        raise Fault("-backhop-packet-break takes a filter")
    number, places = packet_commands.plant(" ".join(arguments))
    return {"breakpoint": number, "packets": places.packets, "places": places.places}


COMMANDS: Dict[str, Callable[[List[str]], Object]] = {
    "-backhop-run": run,
    "-backhop-nodes": nodes,
    "-backhop-position": position,
    "-backhop-events": events,
    "-backhop-goto": goto,
    "-backhop-node-break": node_break,
    "-backhop-node-select": node_select,
    "-backhop-packets": packets,
    "-backhop-packet": packet,
    "-backhop-hop": hop,
    "-backhop-reverse-hop": reverse_hop,
    "-backhop-packet-origin": packet_origin,
    "-backhop-packet-trace": packet_trace,
    "-backhop-packet-break": packet_break,
    "-backhop-why": why_command.for_machine,
}


def register() -> None:
    if not hasattr(gdb, "MICommand"):
        return

    class Machine(gdb.MICommand):
        def __init__(self, name: str, function: Callable[[List[str]], Object]) -> None:
            super().__init__(name)
            self.function = function

        def invoke(self, arguments: List[str]) -> Optional[Dict[str, Any]]:
            try:
                found: Dict[str, Any] = data.as_mi(self.function(arguments))
            except (Fault, gdb.error) as fault:
                raise gdb.GdbError(str(fault)) from None
            return found

    for name, function in COMMANDS.items():
        Machine(name, function)
