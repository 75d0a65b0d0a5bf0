# SPDX-License-Identifier: GPL-2.0-or-later
"""What several commands do with gdb: moving, and finding threads and frames of a node."""

from typing import Optional

import gdb

from backhop import client, live
from backhop.model import Fault, Node


def backward() -> str:
    """The command that continues backwards."""
    direction: str = gdb.execute("show exec-direction", to_string=True)
    return "continue" if "reverse" in direction.lower() else "reverse-continue"


def go(place: str) -> None:
    """Moves the replay. It is a resume that stops somewhere else, because gdb then forgets all it
    had cached, tells every window, and shows the place."""
    client.arm(place)
    gdb.execute(backward())


def selected_node() -> Optional[int]:
    """The node of the selected thread; None for the simulator's."""
    if live.is_live():
        return live.selected_node()
    thread = gdb.selected_thread()
    if thread is None:
        return None
    # Thread ids are made of node and pid, see docs/remote-protocol.md.
    number = (thread.ptid[1] >> 24) - 1
    return number if number >= 0 else None


def node_frame() -> Optional[gdb.Frame]:
    """The newest frame of the node's own code, its kernel or a program: where it called the
    simulator, or where it is. The simulator is the executable, all else are libraries to gdb."""
    frame: Optional[gdb.Frame] = live.first_frame()
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


def is_called(name: str, pid: int, word: str) -> bool:
    return word in (str(pid), name, f"{name}-{pid}")


def switch_thread(node: Node, word: Optional[str]) -> Optional[str]:
    """Of a replay: a node's thread of that name or process id; without one, the one that is most
    worth looking at: that runs, else its first. Its name; None: there is none."""
    threads = sorted((thread for thread in gdb.selected_inferior().threads()
                      if (thread.ptid[1] >> 24) - 1 == node.number),
                     key=lambda thread: thread.ptid[1])
    if word is not None:
        threads = [thread for thread in threads
                   if is_called((thread.name or "").partition("/")[2].rpartition("-")[0],
                                (thread.ptid[1] & 0xffffff) - 1, word)]
    elif node.is_running:
        running = client.position().thread
        threads = [thread for thread in threads if thread.ptid[1] == running] or threads
    if not threads:
        return None
    threads[0].switch()
    return f"thread {threads[0].num} ({threads[0].name})"


def switch_task(node: Node, word: Optional[str]) -> Optional[str]:
    """The same of a live run, which is one thread to gdb."""
    tasks = live.tasks(node.number)
    if word is not None:
        tasks = [task for task in tasks if is_called(task.comm, task.pid, word)]
    elif node.is_running:
        tasks = [task for task in tasks if live.has_cpu(node, task)] or tasks
    if not tasks:
        return None
    live.select(node, tasks[0])
    return f"task {node.name}/{tasks[0].comm}-{tasks[0].pid}"


def switch(node: Node, word: Optional[str] = None) -> Optional[str]:
    return switch_task(node, word) if live.is_live() else switch_thread(node, word)


class Selection:
    """`with Selection():` what is selected now is selected again afterwards."""

    def __enter__(self) -> None:
        self.thread = gdb.selected_thread()
        self.view = live.view.state()

    def __exit__(self, *_: object) -> None:
        if self.thread is not None and self.thread.is_valid():
            self.thread.switch()
        live.view.restore(self.view)


def switch_or_fault(node: Node, word: Optional[str]) -> str:
    told = switch(node, word)
    if told is not None:
        return told
    if word is None:
        raise Fault(f"{node.name} has no threads now: its kernel hasn't started yet"
                    + ("" if live.is_live() else "; `goto` a later event"))
    raise Fault(f"{node.name} has no task '{word}' now; say a name or a process id of "
                f"`node apply {node.name} lx-ps`")
