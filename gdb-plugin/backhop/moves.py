# SPDX-License-Identifier: GPL-2.0-or-later
"""What several commands do with gdb: moving, and finding threads and frames of a node."""

from typing import Optional

import gdb

from backhop import client
from backhop.model import Node


def go(place: str) -> None:
    """Moves the replay. It is a resume that stops somewhere else, because gdb then forgets all it
    had cached, tells every window, and shows the place."""
    client.arm(place)
    direction: str = gdb.execute("show exec-direction", to_string=True)
    gdb.execute("continue" if "reverse" in direction.lower() else "reverse-continue")


def selected_node() -> Optional[int]:
    """The node of the selected thread; None for the simulator's."""
    thread = gdb.selected_thread()
    if thread is None:
        return None
    # Thread ids are made of node and pid, see docs/remote-protocol.md.
    number = (thread.ptid[1] >> 24) - 1
    return number if number >= 0 else None


def node_frame() -> Optional[gdb.Frame]:
    """The newest frame of the node's own code, its kernel or a program: where it called the
    simulator, or where it is. The simulator is the executable, all else are libraries to gdb."""
    frame: Optional[gdb.Frame] = gdb.newest_frame()
    while frame is not None and frame.is_valid():
        if gdb.solib_name(frame.pc()) is not None:
            return frame
        frame = frame.older()
    return None


def select_node_frame() -> None:
    """Selects that frame, if there is one, and shows what is selected."""
    frame = node_frame()
    if frame is not None:
        frame.select()
    gdb.execute("frame")


def select_caller_of_simulator() -> None:
    """After a goto: an event begins in the simulator, but what led to it is in the node's code."""
    frame = node_frame()
    if frame is not None and frame != gdb.newest_frame():
        frame.select()
        gdb.execute("frame")


def node_thread(node: Node) -> Optional[gdb.InferiorThread]:
    """The thread of a node that is most worth looking at: the one that runs, else its first."""
    threads = [thread for thread in gdb.selected_inferior().threads()
               if (thread.ptid[1] >> 24) - 1 == node.number]
    if node.is_running:
        running = client.position().thread
        for thread in threads:
            if thread.ptid[1] == running:
                return thread
    return min(threads, key=lambda thread: thread.ptid[1]) if threads else None
