# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin adds to expressions: DCE's functions and $bh_symbol.

DCE's idiom is `break f if dce_debug_nodeid() == 0`. gdb refuses to call functions when it goes
backwards, and elsewhere a call is slow. So they are macros of gdb's preprocessor: gdb expands them
when it parses, the condition is on a register, gdb compiles it to bytecode and the replay checks
it. What the user typed is still what `info breakpoints` shows.
"""

import gdb

from backhop.model import Fault

MACROS = {
    "dce_debug_nodeid()": "$node",
    "dce_debug_is_node(n)": "($node == (n))",
}


def define_macros() -> None:
    for name, expansion in MACROS.items():
        gdb.execute(f"macro define {name} {expansion}")


def find_symbol(name: str, frame: gdb.Frame) -> gdb.Symbol:
    symtab = frame.find_sal().symtab
    if symtab is None:
        raise Fault("the selected frame has no source, so it belongs to no image; select one with "
                    "`up` or `frame N`")
    symbol = symtab.objfile.lookup_static_symbol(name) or \
        symtab.objfile.lookup_global_symbol(name)
    if symbol is None:
        raise Fault(f"there is no variable or function '{name}' in {symtab.objfile.filename}")
    return symbol


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
            symbol = find_symbol(name.string(), gdb.selected_frame())
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None
        return symbol.value()


def register() -> None:
    BhSymbol()
    define_macros()
