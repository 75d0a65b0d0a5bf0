# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin adds to expressions: DCE's functions, $bh_symbol and $bh_processname.

DCE's idiom is `break f if dce_debug_nodeid() == 0`. gdb refuses to call functions when it goes
backwards, and elsewhere a call is slow. So they are macros of gdb's preprocessor: gdb expands them
when it parses, the condition is on a register, gdb compiles it to bytecode and the replay checks
it. What the user typed is still what `info breakpoints` shows. Strings don't fit into bytecode, so
gdb itself evaluates a condition with dce_debug_processname(): slower, but in both directions.
"""

from typing import Dict

import gdb

from backhop import images, live, moves
from backhop.model import Fault

REPLAY_MACROS = {
    "dce_debug_nodeid()": "$node",
    "dce_debug_is_node(n)": "($node == (n))",
    "dce_debug_processname()": "$bh_processname()",
    "dce_debug_lookup(name)": "$bh_symbol(name)",
    "dce_debug_monitor(n)": "$bh_monitor(n)",
    "dce_debug_unmonitor(n)": "$bh_unmonitor(n)",
}

# gdb evaluates these itself; there is no register for it in a live run.
LIVE_MACROS = {
    **REPLAY_MACROS,
    "dce_debug_nodeid()": "$bh_nodeid()",
    "dce_debug_is_node(n)": "($bh_nodeid() == (n))",
}


def define_macros(macros: Dict[str, str]) -> None:
    for name, expansion in macros.items():
        gdb.execute(f"macro define {name} {expansion}")


class BhSymbol(gdb.Function):
    """The variable or function NAME of the selected frame's own image: $bh_symbol("NAME").

Each node has its own copy of the kernel. gdb finds global symbols in the copy
that the frame runs in, but for a static one of another source file it takes
the copy that was loaded first, without saying so. This takes the right one:
  print $bh_symbol("fib_info_cnt")"""

    def __init__(self) -> None:
        super().__init__("bh_symbol")

    def invoke(self, name: gdb.Value) -> gdb.Value:
        try:
            symbol = images.find_symbol(name.string())
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None
        return symbol.value()


def process_name(thread_name: str) -> str:
    """The program of a thread's name NODE/COMM-PID; the simulator's thread has just a name."""
    _, slash, task = thread_name.partition("/")
    return task.rpartition("-")[0] if slash else thread_name


class BhProcessname(gdb.Function):
    """The name of the program that the selected thread runs: $bh_processname().

For conditions, as DCE's dce_debug_processname():
  break sendto if $_streq(dce_debug_processname(), "ping")"""

    def __init__(self) -> None:
        super().__init__("bh_processname")

    def invoke(self) -> str:
        if live.is_live():
            return live.program_name()
        thread = gdb.selected_thread()
        return process_name(thread.name) if thread is not None and thread.name else ""


class BhNodeid(gdb.Function):
    """The number of the node that has the CPU or is selected: $bh_nodeid(); -1: the simulator.

For conditions in a live run, as DCE's dce_debug_nodeid():
  break ip_rcv if dce_debug_nodeid() == 0
In a replay $node says it, and faster."""

    def __init__(self) -> None:
        super().__init__("bh_nodeid")

    def invoke(self) -> int:
        node = moves.selected_node()
        return -1 if node is None else node


def register() -> None:
    BhSymbol()
    BhProcessname()
    BhNodeid()
    define_macros(LIVE_MACROS)
