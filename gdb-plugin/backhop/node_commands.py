# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that work on some nodes only: node NAME, node break, node tbreak, node apply."""

import re
from typing import List, Optional, Sequence, Set, Tuple

import gdb

from backhop import client, live, moves
from backhop.base import Command, Completion, complete_names
from backhop.model import Fault, Node, find_node, find_nodes

# With more nodes than this, `node NAME` still works but isn't completed.
MAX_COMPLETED_NODES = 256


def select_node(name: str, task: Optional[str]) -> None:
    node = find_node(client.nodes(), name)
    told = moves.switch_or_fault(node, task)
    print(f"[Switching to node {node.name}, {told}]")
    moves.select_node_frame()


class NodePrefix(Command):
    """Look at another node: its thread that runs, or its first one.

  node r1                         by name
  node 2                          by number, as in `info nodes`
  node r1 ping                    a task of it, by name or process id
  node break r1,r2 ip_rcv         see `help node break`
  node apply all info locals      see `help node apply`

Without an argument it tells which node is selected."""

    def __init__(self) -> None:
        super().__init__("node", gdb.COMMAND_RUNNING, prefix=True)

    def run(self, argument: str) -> None:
        if argument:
            name, _, task = argument.partition(" ")
            select_node(name, task.strip() or None)
            return
        selected = moves.selected_node()
        if selected is None:
            print("No node is selected: the thread is the simulator's own.")
        else:
            print(f"The node is {find_node(client.nodes(), str(selected)).name}.")


class OneNode(Command):
    """A node's name as a subcommand of `node`, so that gdb completes it."""

    def __init__(self, name: str) -> None:
        self.node_name = name
        self.__doc__ = f"Look at node {name}."
        super().__init__(f"node {name}", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        if " " in argument:
            raise Fault(f"'node {self.node_name}' takes a task at most; for a command on a node "
                        f"say 'node apply {self.node_name} {argument}'")
        select_node(self.node_name, argument or None)


def split_condition(location: str) -> Tuple[str, Optional[str]]:
    """LOCATION [if CONDITION], as gdb's break takes it."""
    match = re.search(r"(?:^|\s)if\b\s*(?=[\s(])?", location)
    if not match:
        return location.strip(), None
    return location[:match.start()].strip(), location[match.end():].strip()


def resolve(location: str, nodes: Sequence[Node]) -> List[Tuple[Node, int]]:
    """Where a location lies in the images of nodes. gdb's own breakpoint finds it, so that it is
    what `break LOCATION` would use, behind each function's prologue."""
    always = gdb.parameter("breakpoint always-inserted")
    gdb.execute("set breakpoint always-inserted off")
    try:
        probe = gdb.Breakpoint(location, internal=True)
        try:
            if probe.pending:
                raise Fault(f"there is no '{location}' in any image that is loaded; try "
                            f"`info functions {location}`")
            addresses = [place.address for place in probe.locations]
        finally:
            probe.delete()
    finally:
        if always:
            gdb.execute("set breakpoint always-inserted on")
    found = [(node, address) for node in nodes for address in addresses
             if node.has_address(address)]
    missing: Set[str] = {node.name for node in nodes} - {node.name for node, _ in found}
    if missing:
        raise Fault(f"'{location}' is not in the kernel of {', '.join(sorted(missing))}; for code "
                    f"of a program say `break {location} if $node == N`")
    return found


def plant(words: str, temporary: bool) -> List[gdb.Breakpoint]:
    parts = words.split(None, 1)
    if len(parts) < 2:
        raise Fault("say NODE[,NODE...] LOCATION [if CONDITION], such as 'r1,r2 ip_rcv'")
    nodes = find_nodes(client.nodes(), parts[0])
    location, condition = split_condition(parts[1])
    created: List[gdb.Breakpoint] = []
    try:
        for node, address in resolve(location, nodes):
            suffix = f" if {condition}" if condition else ""
            before = {item.number for item in gdb.breakpoints()}
            gdb.execute(f"{'tbreak' if temporary else 'break'} *{address:#x}{suffix}",
                        to_string=True)
            created += [item for item in gdb.breakpoints() if item.number not in before]
            place = created[-1].locations[0]
            source = f": file {place.source[0]}, line {place.source[1]}" if place.source else ""
            print(f"Breakpoint {created[-1].number} at {address:#x}{source}, only on {node.name}.")
    except (Fault, gdb.error):
        for item in created:
            item.delete()
        raise
    return created


class NodeBreak(Command):
    """Set a breakpoint on some nodes only: node break NODE[,NODE...] LOCATION [if CONDITION]

  node break r1 ip_rcv
  node break r1,r2 tcp_input.c:5000 if skb->len > 1000
  node break all ip_rcv_finish

It is planted in the kernel images of these nodes alone, as one breakpoint a
node; the others run at full speed. LOCATION is as in `break`."""

    def __init__(self) -> None:
        super().__init__("node break", gdb.COMMAND_BREAKPOINTS)

    def complete(self, argument: str, word: str) -> Completion:
        return complete_node_and(argument, "break ")

    def run(self, argument: str) -> None:
        plant(argument, False)


class NodeTbreak(Command):
    """Set a temporary breakpoint on some nodes only: like `node break`, but it is deleted when hit.

node tbreak NODE[,NODE...] LOCATION [if CONDITION]"""

    def __init__(self) -> None:
        super().__init__("node tbreak", gdb.COMMAND_BREAKPOINTS)

    def complete(self, argument: str, word: str) -> Completion:
        return complete_node_and(argument, "break ")

    def run(self, argument: str) -> None:
        plant(argument, True)


class NodeApply(Command):
    """Run a gdb command on each of some nodes: node apply NODE[,NODE...] COMMAND

  node apply all bt 3
  node apply r1,r2 info locals

The selected thread stays what it was."""

    def __init__(self) -> None:
        super().__init__("node apply", gdb.COMMAND_DATA)

    def complete(self, argument: str, word: str) -> Completion:
        return complete_node_and(argument, "")

    def run(self, argument: str) -> None:
        parts = argument.split(None, 1)
        if len(parts) < 2:
            raise Fault("say NODE[,NODE...] COMMAND, such as 'all bt 3'")
        nodes = find_nodes(client.nodes(), parts[0])
        with moves.Selection():
            for node in nodes:
                told = moves.switch(node)
                print(f"\nNode {node.name}" + (f", {told}:" if told else " has no threads now."))
                if told:
                    gdb.execute(parts[1])


def complete_node_and(argument: str, command: str) -> Completion:
    """Node names for the first word; then what gdb completes behind `command`."""
    parts = argument.lstrip().split(None, 1)
    if " " not in argument.lstrip():
        return complete_names(argument.strip(), ["all"])
    rest = parts[1] if len(parts) > 1 else ""
    if " " in rest:  # gdb would want the whole rest back, and has cut it into words
        return []
    found: str = gdb.execute(f"complete {command}{rest}", to_string=True)
    return [line[len(command):] for line in found.splitlines()]


def register() -> None:
    for command in (NodePrefix, NodeBreak, NodeTbreak, NodeApply):
        command()
    LiveNames()


def register_names(names: Sequence[str]) -> None:
    """Makes each node's name a subcommand: completed, and never taken for an abbreviation."""
    if len(names) > MAX_COMPLETED_NODES:
        return
    for name in names:
        if re.fullmatch(r"[A-Za-z0-9_.-]+", name) and name not in ("break", "tbreak", "apply"):
            OneNode(name)


class LiveNames:
    """The same for a live run, when gdb hears of its kernels: all of them at once."""

    def __init__(self) -> None:
        self.pid = 0  # whose names are known
        gdb.events.new_objfile.connect(lambda event: self.look(event.new_objfile))
        for objfile in gdb.objfiles():
            self.look(objfile)

    def look(self, objfile: gdb.Objfile) -> None:
        pid = gdb.selected_inferior().pid
        if pid != self.pid and live.is_kernel(objfile) and live.is_live():
            self.pid = pid
            register_names(live.names())
