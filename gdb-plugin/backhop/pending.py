# SPDX-License-Identifier: GPL-2.0-or-later
"""Breakpoints in programs that don't run yet where the replay is.

gdb finds their place when the program is in the list of libraries, and it reads that list when a
move stops. So the server is asked to interrupt moves where programs are loaded, but only as long as
there is such a breakpoint: one without a place, or with a place only in the simulator, whose
functions are called as those of programs are (main, send, ...). Called by plugin.py.
"""

from typing import Any

import gdb

from backhop import client
from backhop.model import Fault


def may_get_places(breakpoint: gdb.Breakpoint) -> bool:
    if breakpoint.number < 0 or breakpoint.type != gdb.BP_BREAKPOINT or not breakpoint.enabled:
        return False
    if (breakpoint.location or "*").startswith("*"):
        return False
    return breakpoint.pending or any(gdb.solib_name(place.address) is None
                                     for place in breakpoint.locations)


class Pending:
    def __init__(self) -> None:
        self.is_wanted = False
        self.is_connected = False
        for event in (gdb.events.breakpoint_created, gdb.events.breakpoint_modified):
            event.connect(self.look)
        gdb.events.breakpoint_deleted.connect(self.forget)

    def connect(self) -> None:
        """To a new server, which knows of nothing."""
        self.is_wanted = False
        self.is_connected = True
        self.update(None)

    def update(self, without: Any) -> None:
        is_wanted = any(may_get_places(item) for item in gdb.breakpoints()
                        if without is None or item.number != without.number)
        if not self.is_connected or is_wanted == self.is_wanted:
            return
        try:
            client.stop_at_images(is_wanted)
        except (Fault, gdb.error):
            self.is_connected = False
        self.is_wanted = is_wanted

    def look(self, _breakpoint: gdb.Breakpoint) -> None:
        self.update(None)

    def forget(self, breakpoint: gdb.Breakpoint) -> None:
        self.update(breakpoint)


pending = Pending()
