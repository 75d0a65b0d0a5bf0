# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers everything with gdb, and connects to a server. Called by load.py."""

import gdb

from backhop import branch, client, commands, expressions, frames, live, lx, mi, monitor
from backhop import node_commands, packet_commands, pending, sources, text, why_command, windows
from backhop.base import Command
from backhop.model import Fault

# Before the connection: where symbols come from.
SETTINGS_BEFORE = (
    "set sysroot",  # files are read here, not through the connection
    "set debuginfod enabled off",  # it would ask the network for every library
    "set print thread-events off",
    "set breakpoint pending auto",
    "set remotetimeout 60",  # the server may be moving a long way
    # Programs get the signals that were recorded; `handle SIGSEGV stop print` stops there.
    "handle all nostop noprint pass",
)
# After it: gdb refuses these for a target that can't run threads.
SETTINGS_AFTER = (
    "set scheduler-locking step",  # so that gdb names the thread of each reverse step
    "set breakpoint always-inserted on",
)


def connect(address: str) -> None:
    """What the server says it runs is what gdb then reads: there is nothing to compare."""
    is_known = gdb.current_progspace().filename is not None
    if not is_known:
        gdb.execute("set exec-file-mismatch off", to_string=True)
    live.is_connecting = True
    try:
        # It would show a frame of the simulator before anything has happened.
        gdb.execute(f"target remote {address}", to_string=True)
    finally:
        live.is_connecting = False
        if not is_known:
            gdb.execute("set exec-file-mismatch ask", to_string=True)


class Connect(Command):
    """Connect to a replay that `backhop replay --serve` serves: backhop connect [HOST:]PORT

A path connects to a socket in the file system. Without an argument it takes
the connection that gdb has already, for IDEs that connect by themselves."""

    def __init__(self) -> None:
        super().__init__("backhop connect", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        is_connected = isinstance(gdb.selected_inferior().connection, gdb.RemoteTargetConnection)
        if not argument and not is_connected:
            raise Fault("connect to what? say [HOST:]PORT, such as 'backhop connect 2345'")
        address = f"localhost:{argument}" if argument.isdigit() else argument
        for setting in SETTINGS_BEFORE:
            # Once there are libraries, gdb 13 would drop their symbols for it.
            if argument or setting != "set sysroot":
                gdb.execute(setting, to_string=True)
        if argument:
            connect(address)
        live.give_up()
        expressions.define_macros(expressions.REPLAY_MACROS)
        for setting in SETTINGS_AFTER:
            gdb.execute(setting, to_string=True)
        packet_commands.forget()
        pending.pending.connect()
        nodes = client.nodes()
        node_commands.register_names([node.name for node in nodes])
        for before, after in sources.substitutions({node.image for node in nodes}):
            gdb.execute(f"set substitute-path {before} {after}", to_string=True)
        print(text.describe_run(client.run(), nodes))


def load() -> None:
    commands.register()
    packet_commands.register()
    node_commands.register()
    expressions.register()
    frames.register()
    branch.register()
    live.register()
    why_command.register()
    lx.register()
    mi.register()
    monitor.register()
    windows.register()
    Connect()
