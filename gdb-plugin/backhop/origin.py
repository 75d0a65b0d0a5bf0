# SPDX-License-Identifier: GPL-2.0-or-later
"""Goes to where a packet was made: for `packet origin`.

The table of packets says in which event that was and by whom. A system call is found inside that
event by going back to the last time that the program entered the kernel there.
"""

from typing import Iterator, List, Optional

import gdb

from backhop import client, moves, text
from backhop import packet_model as model
from backhop.model import Fault, Node, find_node
from backhop.node_commands import resolve
from backhop.packet_model import Packet

# The port's function that each system call of a program goes through (kernel/user.c).
CALL_FUNCTION = "user_call"


class Quiet:
    """`with Quiet():` none of the user's breakpoints stops."""

    def __enter__(self) -> None:
        self.disabled: List[gdb.Breakpoint] = [item for item in gdb.breakpoints() if item.enabled]
        for item in self.disabled:
            item.enabled = False

    def __exit__(self, *_: object) -> None:
        for item in self.disabled:
            if item.is_valid():
                item.enabled = True


def frames() -> Iterator[gdb.Frame]:
    frame: Optional[gdb.Frame] = gdb.newest_frame()
    while frame is not None:
        yield frame
        frame = frame.older()


def program_frame(nodes: List[Node]) -> Optional[gdb.Frame]:
    """The newest frame that is neither a kernel's nor the simulator's."""
    for frame in frames():
        pc = frame.pc()
        if gdb.solib_name(pc) is not None and not any(node.has_address(pc) for node in nodes):
            return frame
    return None


def is_in_call() -> bool:
    """Is a program in a system call here?"""
    return any(frame.name() == CALL_FUNCTION for frame in frames())


def run_quietly(command: str) -> None:
    gdb.execute(command, to_string=True)


def arrive(place: str) -> None:
    """Without showing it."""
    client.arm(place)
    run_quietly(moves.backward())


def back_to_call(node: Node, condition: str) -> bool:
    """From here back to the last time that a program of the node entered the kernel."""
    # gdb refuses to plant what it can't: one breakpoint for each place, all internal.
    planted = [gdb.Breakpoint(f"*{address:#x}", internal=True)
               for _, address in resolve(CALL_FUNCTION, [node])]
    start = client.position()
    try:
        for item in planted:
            item.condition = condition
            item.silent = True
        run_quietly(moves.backward())
    finally:
        for item in planted:
            item.delete()
    return client.position().event > 1 or start.event == 1


def tell_call(packet: Packet, nodes: List[Node], call: Optional[str]) -> None:
    thread = gdb.selected_thread()
    name = thread.name if thread is not None and thread.name else packet.source
    position = client.position()
    print(f"{name} called {call or 'the kernel'} at event {position.event}, "
          f"{text.format_time(position.vtime_ns)}, and that made packet {packet.id}")
    frame = program_frame(nodes)
    if frame is not None:
        frame.select()
    gdb.execute("frame")


def go(packet: Packet) -> None:
    origin = packet.origin
    nodes = client.nodes()
    node = find_node(nodes, packet.source)
    is_call = origin.kind == "syscall"
    before = client.position().target
    with Quiet():
        if is_call:
            arrive(str(min(origin.event + 1, packet.born_event)))
        else:
            arrive(str(packet.born_event))
            is_call = origin.kind != "task" and is_in_call()
        if is_call:
            task = origin.pid if origin.pid else int(gdb.parse_and_eval("$task"))
            if not back_to_call(node, f"$task == {task}"):
                arrive(before)
                raise Fault(f"the system call that made packet {packet.id} isn't found; `goto "
                            f"{packet.born_event}` leads to where it was sent first")
    if is_call:
        tell_call(packet, nodes, origin.call)
        return
    moves.go(str(origin.event))
    moves.select_caller_of_simulator()
    print(f"packet {packet.id} was {model.describe_origin(origin)}")
