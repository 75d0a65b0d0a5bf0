# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands have in common."""

from typing import List, Sequence, Tuple, Union

import gdb

from backhop import client
from backhop.model import Fault

Completion = Union[Sequence[str], int]


class Command(gdb.Command):
    """A command whose faults are told in one sentence."""

    def run(self, argument: str) -> None:
        raise NotImplementedError

    def invoke(self, argument: str, from_tty: bool) -> None:
        self.dont_repeat()
        try:
            self.run(argument.strip())
        except (Fault, gdb.error) as fault:
            raise gdb.GdbError(str(fault)) from None


def take_option(argument: str, option: str) -> Tuple[bool, str]:
    """Is the option among the words? And the others."""
    words = argument.split()
    return option in words, " ".join(word for word in words if word != option)


def node_names() -> List[str]:
    """For completion, which must not fail."""
    try:
        return [node.name for node in client.nodes()]
    except (Fault, gdb.error):
        return []


def complete_names(words: str, also: Sequence[str] = ()) -> Completion:
    """Completes the last of a list NODE[,NODE...]; gdb's word is what follows the comma."""
    last = words.rsplit(",", 1)[-1]
    return [name for name in [*node_names(), *also] if name.startswith(last)]
