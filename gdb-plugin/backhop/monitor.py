# SPDX-License-Identifier: GPL-2.0-or-later
"""dce_debug_monitor(N) and dce_debug_unmonitor(N): stop whenever a node switches to another task.

In DCE they make a run stop at each switch to a context of the node. Here that is a breakpoint in
the node's own kernel, where it exchanges the stacks: `prev` and `next` are the tasks. Other nodes
pay nothing, and it works backwards too. Each is a macro for a function (expressions.py), so `call`
and `print` take it as typed; the value is how many nodes are monitored.
"""

from typing import Dict

import gdb

from backhop import client, node_commands
from backhop.model import Fault, find_node

# arch/backhop/kernel/process.c
SWITCH = "__switch_to"


class Monitors:
    def __init__(self) -> None:
        self.by_node: Dict[int, gdb.Breakpoint] = {}

    def count(self) -> int:
        self.by_node = {number: item for number, item in self.by_node.items() if item.is_valid()}
        return len(self.by_node)

    def add(self, word: str) -> int:
        node = find_node(client.nodes(), word)
        self.count()
        if node.number not in self.by_node:
            created = node_commands.plant(f"{node.name} {SWITCH}", False)
            self.by_node[node.number] = created[0]
        return self.count()

    def remove(self, word: str) -> int:
        node = find_node(client.nodes(), word)
        self.count()
        item = self.by_node.pop(node.number, None)
        if item is None:
            raise Fault(f"node {node.name} is not monitored; dce_debug_monitor({node.number}) "
                        "does it")
        item.delete()
        return self.count()


monitors = Monitors()


class BhMonitor(gdb.Function):
    """Stop whenever node N switches to another task: $bh_monitor(N).

As DCE's dce_debug_monitor(N)."""

    def __init__(self) -> None:
        super().__init__("bh_monitor")

    def invoke(self, node: gdb.Value) -> int:
        try:
            return monitors.add(str(int(node)))
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None


class BhUnmonitor(gdb.Function):
    """No longer: $bh_unmonitor(N), as DCE's dce_debug_unmonitor(N)."""

    def __init__(self) -> None:
        super().__init__("bh_unmonitor")

    def invoke(self, node: gdb.Value) -> int:
        try:
            return monitors.remove(str(int(node)))
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None


def register() -> None:
    BhMonitor()
    BhUnmonitor()
