# SPDX-License-Identifier: GPL-2.0-or-later
"""Leaves out of backtraces what is only there because this is a replay.

A backtrace runs from a node's kernel through the simulator to the command that replays it. Between
the last two lie frames of the replay engine, the same in every backtrace: this filter hides them.
`disable frame-filter global backhop` or `backtrace -no-filters` shows them.
"""

from typing import Any, Iterator

import gdb

# The last frame that an ordinary run has too, and the first that is worth seeing behind it.
LAST_OF_RUN = "bh_rerun_run"
OUTERMOST = ("main", "cmd_replay")


class ReplayFilter:
    def __init__(self) -> None:
        self.name = "backhop"
        self.priority = 100
        self.enabled = True
        gdb.frame_filters[self.name] = self

    def filter(self, frames: Iterator[Any]) -> Iterator[Any]:
        is_hidden = False
        for frame in frames:
            name = frame.inferior_frame().name()
            if is_hidden and name not in OUTERMOST:
                continue
            yield frame
            if is_hidden:
                return
            is_hidden = name == LAST_OF_RUN


def register() -> None:
    ReplayFilter()
