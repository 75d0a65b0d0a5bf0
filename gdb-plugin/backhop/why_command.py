# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `why`. What it tells is in why.py, a third of the plugin: that is loaded when it is
asked for, because loading the plugin is much of the time until gdb's prompt. Called by plugin.py.
"""

from typing import List

import gdb

from backhop.base import Command, Completion
from backhop.model import Object


class Why(Command):
    """Tell why a packet was dropped, lost or late: why [--json] [ID]

  why            the last drop or loss before here; at the run's beginning, before
                 its failure
  why 795        what became of packet 795, and why
  why event 812  the drop or loss at event 812
  why value EXPR who gave a variable or field its value, and what decided that:
                 why value skb->dev

It names the condition in the kernel's sources that decided it, the state that
the condition looked at, and who put that state there: the event, the program
and the function. The lines `goto PLACE` lead there. The replay stays where it
is. What is put together from what happened, and so is a guess, says so."""

    def __init__(self) -> None:
        super().__init__("why", gdb.COMMAND_STATUS)

    def complete(self, argument: str, word: str) -> Completion:
        return [name for name in ("--json", "event ", "value ") if name.startswith(word)]

    def run(self, argument: str) -> None:
        from backhop import why
        print(why.told(argument))


def for_machine(arguments: List[str]) -> Object:
    """-backhop-why."""
    from backhop import why
    return why.for_machine(arguments)


def register() -> None:
    Why()
