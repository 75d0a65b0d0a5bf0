# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells the user, once, that what they change or call happens in a throw-away copy. Called by
plugin.py; for calls of functions the server tells it itself, because gdb then waits for a stop."""

from typing import Any

import gdb

from backhop import client
from backhop.model import Fault


def tell(_event: Any) -> None:
    try:
        note = client.branch_note()
    except (Fault, gdb.error):
        return
    if note:
        gdb.write(note)


def register() -> None:
    gdb.events.memory_changed.connect(tell)
    gdb.events.register_changed.connect(tell)
