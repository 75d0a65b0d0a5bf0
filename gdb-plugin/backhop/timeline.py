# SPDX-License-Identifier: GPL-2.0-or-later
"""Which events `info timeline` and its window show. Used by commands.py, mi.py and windows.py."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from backhop import client
from backhop.model import Event, Fault, Node, find_nodes

# Around a place.
EVENTS_BEFORE, EVENTS_AFTER = 8, 8
# Of a range that was asked for.
MAX_SHOWN = 1000
# In one question to the server.
EVENTS_AT_ONCE = 1000


@dataclass(frozen=True)
class Choice:
    events: Sequence[Event]
    now: int  # the current one's number
    left_out: int  # how many more the range has


def read(first: int, last: int, nodes: Optional[Sequence[Node]]) -> List[Event]:
    """The events of a range, of some nodes only; one more than are shown if there are more."""
    numbers = None if nodes is None else {node.number for node in nodes}
    found: List[Event] = []
    while first <= last and len(found) <= MAX_SHOWN:
        events = client.events(first, min(EVENTS_AT_ONCE, last - first + 1))
        found += [event for event in events if numbers is None or event.node in numbers]
        first += EVENTS_AT_ONCE
    return found


def parse_range(text: str, now: int, total: int) -> Tuple[int, int]:
    first, dots, last = text.partition("..")
    if dots:
        begin = client.place(first) if first else 1
        end = client.place(last) if last else total
        if begin > end:
            raise Fault(f"{first} is later than {last}; say FROM..TO, FROM first")
        return begin, end
    middle = client.place(first) if first else now
    return max(1, middle - EVENTS_BEFORE), min(total, middle + EVENTS_AFTER)


def choose(argument: str) -> Choice:
    """What the user asked for: [FROM[..TO]] [NODES]."""
    words = argument.split()
    if len(words) > 2:
        raise Fault("say [FROM..TO] [NODES], such as '5s..5.1s r1,r2'")
    nodes: Optional[Sequence[Node]] = None
    known = client.nodes()
    names = {node.name for node in known}
    if words and (len(words) == 2 or set(words[0].split(",")) <= names):
        nodes = find_nodes(known, words.pop())
    now, total = client.position().event, client.run().events
    first, last = parse_range(words[0] if words else "", now, total)
    found = read(first, last, nodes)
    left_out = max(0, len(found) - MAX_SHOWN)
    return Choice(found[:MAX_SHOWN], now, left_out)
