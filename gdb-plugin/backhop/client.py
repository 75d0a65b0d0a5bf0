# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the server: the plugin's side of the private packets of docs/remote-protocol.md. Of a live
run, which has no server, live.py finds some of the answers."""

from typing import Any, List, Optional

import gdb

from backhop import live
from backhop.model import Event, Fault, Hop, Node, Position, Run, decode_reply


def ask(packet: str) -> Any:
    connection = gdb.selected_inferior().connection
    if not isinstance(connection, gdb.RemoteTargetConnection):
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


def hop_back(number: int, node: int) -> Hop:
    return Hop.parse(ask(f"qBackhop:hop-back:{number}:{node}"))


def hop_forward(number: int) -> Hop:
    return Hop.parse(ask(f"qBackhop:hop-forward:{number}"))


def arm(place: str) -> None:
    """The next resume of the replay goes to this place."""
    ask("QBackhop:goto:" + place.encode().hex())
