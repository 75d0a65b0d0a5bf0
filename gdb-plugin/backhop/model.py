# SPDX-License-Identifier: GPL-2.0-or-later
"""What there is in a replay or a run, as Python objects. Plain: knows nothing of gdb.

The JSON that the server of a replay sends is specified in docs/remote-protocol.md.
"""

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

Object = Dict[str, Any]


class Fault(Exception):
    """One sentence for the user: what is wrong, and the valid values."""


@dataclass(frozen=True)
class Node:
    number: int
    name: str
    image: str  # path of its kernel image
    base: int  # where the image is mapped
    size: int  # bytes
    threads: int
    is_running: bool  # has the CPU

    @staticmethod
    def parse(data: Object) -> "Node":
        return Node(data["node"], data["node_name"] or str(data["node"]), data["image"],
                    data["base"], data["size"], data["threads"], data["is_running"])

    def has_address(self, address: int) -> bool:
        return self.base <= address < self.base + self.size


@dataclass(frozen=True)
class Task:
    """Of a live run; the threads of a replay are gdb's."""
    address: int  # of its task_struct
    pid: int
    comm: str
    state: int  # 0: could run
    is_program: bool


@dataclass(frozen=True)
class Event:
    event: int
    vtime_ns: int
    node: Optional[int]  # None: the simulator
    node_name: Optional[str]
    kind: str
    cause: int  # 0: none
    packet: int  # 0: none
    hop: int
    length: int
    value: int = 0  # by kind, see common/event.h
    device: Optional[int] = None
    hash: int = 0

    @staticmethod
    def parse(data: Object) -> "Event":
        return Event(data["event"], data["vtime_ns"], data["node"], data["node_name"],
                     data["kind"], data["cause"], data["packet"], data["hop"], data["length"],
                     data.get("value", 0), data.get("device"), data.get("hash", 0))

    @property
    def where(self) -> str:
        return self.node_name or "the simulator"


@dataclass(frozen=True)
class Position:
    event: int
    tick: int
    instruction: int
    vtime_ns: int
    node: Optional[int]  # has the CPU; None: the simulator
    node_name: Optional[str]
    thread: int
    divergence: Optional[str]

    @staticmethod
    def parse(data: Object) -> "Position":
        return Position(data["event"], data["tick"], data["instruction"], data["vtime_ns"],
                        data["node"], data["node_name"], data["thread"], data["divergence"])

    @property
    def target(self) -> str:
        """As `goto` takes it."""
        return f"{self.event}:{self.tick}:{self.instruction}"


@dataclass(frozen=True)
class Hop:
    sent: Event  # the transmission
    arrived: Event  # its reception, or its loss

    @staticmethod
    def parse(data: Object) -> "Hop":
        return Hop(Event.parse(data["sent"]), Event.parse(data["arrived"]))


@dataclass(frozen=True)
class Moment:
    """What there was at a position: of the past, without going there."""

    place: Tuple[int, int, int]
    vtime_ns: int
    node: Optional[int]
    frame: int  # rbp
    task: str  # NODE/COMM-PID
    arguments: Sequence[int]
    pcs: Sequence[int]  # the stack, newest first

    @staticmethod
    def parse(data: Object) -> "Moment":
        event, tick, instruction = data["position"]
        return Moment((event, tick, instruction), data["vtime_ns"], data["node"],
                      data["frame"], data["task"], data["arguments"], data["pcs"])


@dataclass(frozen=True)
class Failure:
    what: str
    node: str
    vtime_ns: int
    event: int
    detail: str


@dataclass(frozen=True)
class Run:
    scenario: str
    seed: int
    events: int
    is_complete: bool
    failures: Sequence[Failure]
    alone: str = ""  # the one node that is replayed; empty: all are

    @staticmethod
    def parse(data: Object) -> "Run":
        summary = data["summary"] or {}
        failures = [Failure(str(item.get("what")), str(item.get("node")),
                            int(item.get("vtime_ns") or 0), int(item.get("event") or 0),
                            str(item.get("detail")))
                    for item in summary.get("failures", [])]
        return Run(data["scenario"], data["seed"], data["events"], data["is_complete"], failures,
                   data.get("alone") or "")


def decode_reply(reply: bytes) -> Any:
    """JSON out of the reply to a private packet; Fault if it holds a sentence instead."""
    if reply.startswith(b"E."):
        raise Fault(reply[2:].decode(errors="replace"))
    try:
        return json.loads(bytes.fromhex(reply.decode("ascii")))
    except ValueError:
        raise Fault("the server doesn't answer as `backhop replay` does; connect to one with "
                    "`backhop connect HOST:PORT`") from None


def find_node(nodes: Sequence[Node], word: str) -> Node:
    """The node of this name or number."""
    for node in nodes:
        if node.name == word:
            return node
    for node in nodes:
        if str(node.number) == word:
            return node
    names = ", ".join(node.name for node in nodes)
    raise Fault(f"there is no node '{word}'; the nodes are {names}")


def find_nodes(nodes: Sequence[Node], words: str) -> List[Node]:
    """The nodes of a list NODE[,NODE...], each once; "all" is every node."""
    if words == "all":
        return list(nodes)
    found: List[Node] = []
    for word in words.split(","):
        node = find_node(nodes, word)
        if node not in found:
            found.append(node)
    return found
