# SPDX-License-Identifier: GPL-2.0-or-later
"""Leaves out of backtraces what is only there because this is a replay.

A backtrace runs from a node's kernel through the simulator to the command that replays it. Between
the last two lie frames of the replay engine, the same in every backtrace: this filter hides them.
Of a task that waits, everything behind its kernel's first frame is of another moment: that goes,
too.
`disable frame-filter global backhop` or `backtrace -no-filters` shows them.
"""

from typing import Any, Iterator

import gdb

from backhop import client, live
from backhop.model import Fault

# The last frame that an ordinary run has too, and the first that is worth seeing behind it.
LAST_OF_RUN = "bh_rerun_run"
OUTERMOST = ("main", "cmd_replay")


def waits() -> bool:
    """Is what is selected a task of a node without the CPU?"""
    if live.is_live():
        return live.view.node is not None
    thread = gdb.selected_thread()
    try:
        return thread is not None and thread.ptid[1] >> 24 > 0 and \
            thread.ptid[1] != client.position().thread
    except Fault:
        return False


def is_first_of_node(frame: gdb.Frame) -> bool:
    """The one from which the unwinder goes on in the host (switch.S of kernel and kernel-lib)."""
    symtab = frame.find_sal().symtab if frame.type() == gdb.SIGTRAMP_FRAME else None
    return symtab is not None and symtab.filename.endswith("/switch.S")


class ReplayFilter:
    def __init__(self) -> None:
        self.name = "backhop"
        self.priority = 100
        self.enabled = True
        gdb.frame_filters[self.name] = self

    def filter(self, frames: Iterator[Any]) -> Iterator[Any]:
        is_hidden = False
        if live.view.node is not None:  # a task is looked at: not what has the CPU
            next(frames, None)
        is_waiting = waits()
        for frame in frames:
            if is_waiting and is_first_of_node(frame.inferior_frame()):
                return
            name = frame.inferior_frame().name()
            if is_hidden and name not in OUTERMOST:
                continue
            yield frame
            if is_hidden:
                return
            is_hidden = name == LAST_OF_RUN


def register() -> None:
    ReplayFilter()
