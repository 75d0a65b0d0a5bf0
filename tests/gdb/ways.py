# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests/gdb/follow-ways, follow-tunnels and follow-tcp: packets are followed hop by hop,
forwards and backwards, to the program's system call. Each time the program is stopped there, live,
with its stack.

That the table of packets, which says where these hops are, is what tcpdump saw at every link is
checked by tests/net/packet-ways, on the same run."""

import json
import os
import re
import sys
from typing import Any, Callable, Dict, List, Tuple

from lib import SOURCE, Replay, check, done, matches, record_file

sys.path.insert(0, os.path.join(SOURCE, "tests", "net"))

from packet_scenario import SCENARIO  # noqa: E402

Packet = Dict[str, Any]
Link = Tuple[str, str]

HOP = r"(\w+) sent packet (\d+)\.\d+ at event (\d+), .*?; (\w+) received it at event (\d+)"
NODES = ["h1", "r1", "r2", "h2", "m"]
MAX_HOPS = 20


def find(gdb: Replay, filter_text: str) -> List[Packet]:
    told = gdb(f"info packets --json {filter_text}")
    found = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    check(f"there is a packet that matches '{filter_text}'", found, told)
    return found


def walk_forward(gdb: Replay, name: str) -> List[Link]:
    """To where it ends; each time the replay is where the hop leads."""
    way: List[Link] = []
    for _ in range(MAX_HOPS):
        told = gdb("hop")
        match = re.search(HOP, told)
        if not match:
            matches(f"{name}: it ends", r"^packet \d+ (ends at|goes no further)", told)
            return way
        way.append((match.group(1), match.group(4)))
        if gdb.value("$event") != int(match.group(5)):
            check(f"{name}: hop arrives where it says", False, told)
    check(f"{name}: it ends after {MAX_HOPS} hops", False, str(way))
    return way


def walk_back(gdb: Replay, name: str, with_stacks: bool) -> Tuple[List[Link], str]:
    """To where it was made: the links, and the stacks that sent it."""
    way: List[Link] = []
    stacks = ""
    for _ in range(MAX_HOPS):
        told = gdb("reverse-hop")
        match = re.search(HOP, told)
        if not match:
            matches(f"{name}: then it was made", r"^packet \d+ was made on \w+", told)
            return way, stacks
        way.append((match.group(1), match.group(4)))
        is_there = gdb.value("$event") == int(match.group(3)) and \
            gdb.value("$node") == NODES.index(match.group(1))
        if not is_there or not re.search(r"^#\d+ .*port_transmit", told, re.M):
            check(f"{name}: reverse-hop is in the transmission", False, told)
        stacks += gdb("backtrace 40") if with_stacks else ""
    check(f"{name}: it began within {MAX_HOPS} hops", False, str(way))
    return way, stacks


def follow(gdb: Replay, name: str, packet: Packet, way: str, program: str,
           functions: Tuple[str, ...] = ()) -> None:
    """way: the nodes on it. functions: some of those that the stacks on it must have."""
    nodes = way.split()
    links = list(zip(nodes, nodes[1:]))
    number = packet["id"]
    matches(f"{name}: selected", rf"^packet {number}: ", gdb(f"packet {number}"))
    gdb(f"goto {packet['born_event']}")
    forward = walk_forward(gdb, name)
    check(f"{name}: hop goes {way}", forward == links, f"{forward}")
    backward, stacks = walk_back(gdb, name, bool(functions))
    check(f"{name}: reverse-hop goes back", backward == links[::-1], f"{backward}")
    for function in functions:
        matches(f"{name}: {function} is on a stack", rf"\b({function}) \(", stacks)
    told = gdb("packet origin")
    matches(f"{name}: packet origin is the program's call",
            rf"^h1/{program}-\d+ called send\w* at event \d+, .* and that made packet \d+$", told)
    matches(f"{name}: in the program", r"^#\d+ .*\b(__libc_)?send(to|msg)? ?\(", told)
    matches(f"{name}: whose stack is whole", rf"^#\d+ .* (in main|at /usr/bin/{program})",
            gdb("backtrace"))


def run(test: Callable[[Replay], None]) -> None:
    with open("ways.yaml", "w", encoding="utf-8") as stream:
        stream.write(SCENARIO)
    with Replay(record_file("ways.yaml")) as gdb:
        test(gdb)
    done()
