# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel image of a node among all that gdb has, and what is in it. Used by lx.py and
expressions.py.

gdb looks a static variable of another source file up in the image that it loaded first, whatever
node is selected; what is looked up here is the node's own.
"""

from typing import Optional

import gdb

from backhop import client, live, moves
from backhop.model import Fault, Node


def lookup(objfile: gdb.Objfile, name: str) -> Optional[gdb.Symbol]:
    return objfile.lookup_static_symbol(name) or objfile.lookup_global_symbol(name)


def kernel_objfile(node: Node) -> gdb.Objfile:
    """All nodes' kernels may be one file; where init_task is tells whose it is."""
    for objfile in gdb.objfiles():
        if not live.is_kernel(objfile):
            continue
        symbol = objfile.lookup_global_symbol("init_task")
        address = symbol.value().address if symbol is not None else None
        if address is not None and node.has_address(int(address)):
            return objfile
    raise Fault(f"gdb has no symbols of the kernel of {node.name}; is there an image.debug beside "
                f"{node.image}?")


def selected_kernel() -> gdb.Objfile:
    number = moves.selected_node()
    for node in client.nodes():
        if node.number == number:
            return kernel_objfile(node)
    raise Fault("no node is selected; say `node NAME`, or `node apply NODES COMMAND`")


def kernel_value(name: str) -> gdb.Value:
    """A variable of the selected node's kernel."""
    symbol = lookup(selected_kernel(), name)
    if symbol is None:
        raise Fault(f"the kernel of the selected node has no variable '{name}'")
    return symbol.value()


def kernel_type(name: str, function: str) -> gdb.Type:
    """A struct as the selected node's kernel has it in the source file of a function. A type that a
    file only declares is completed by gdb from the kernel that it loaded first, which may be
    another version; so the file must be one that defines it."""
    symbol = lookup(selected_kernel(), function)
    if symbol is None:
        raise Fault(f"the kernel of the selected node has no function '{function}'")
    # gdb.lookup_type() forgets the block when it looks for a struct (gdb 13).
    found, _ = gdb.lookup_symbol(name, symbol.symtab.static_block(), gdb.SYMBOL_STRUCT_DOMAIN)
    if found is None or found.type is None:
        raise Fault(f"the file of '{function}' doesn't know 'struct {name}'")
    return found.type


def current_task() -> gdb.Value:
    """What the selected node runs, or ran last."""
    task = kernel_type("task_struct", "release_task").pointer()
    return kernel_value("bh_current_task").cast(task).dereference()


def find_symbol(name: str) -> gdb.Symbol:
    """In the image of the selected frame; if that is the simulator's or a program's, in the node's
    kernel."""
    frames = (gdb.selected_frame(), moves.node_frame())
    for frame in frames:
        symtab = frame.find_sal().symtab if frame is not None else None
        symbol = lookup(symtab.objfile, name) if symtab is not None else None
        if symbol is not None:
            return symbol
    try:
        symbol = lookup(selected_kernel(), name)
    except Fault:
        symbol = None
    if symbol is None:
        raise Fault(f"there is no variable or function '{name}' in the image of the selected frame "
                    "nor in its node's kernel; select another one with `up`, `frame N` or "
                    "`node NAME`")
    return symbol
