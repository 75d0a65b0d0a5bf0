# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows of gdb's text interface: the nodes, the events around the current one, the way of the
selected packet.

`layout backhop` shows nodes and events above the source, `layout packet` the way of the packet;
`tui new-layout` makes other arrangements of the windows backhop-nodes, backhop-timeline and
backhop-packet. They are drawn when the program stops. Called by
plugin.py; `text` makes the lines.
"""

from typing import List, Optional

import gdb

from backhop import client, live, moves, packet_commands, packet_model, text, timeline
from backhop.model import Fault

LAYOUT = "backhop {-horizontal backhop-nodes 2 backhop-timeline 3} 1 src 2 status 0 cmd 1"
PACKET_LAYOUT = "packet {-horizontal backhop-packet 3 backhop-timeline 2} 1 src 2 status 0 cmd 1"


class Window:
    """Lines that are drawn again at each stop; they can be scrolled."""
    title = ""

    def __init__(self, window: "gdb.TuiWindow") -> None:
        self.window = window
        self.first = 0
        self.lines: List[str] = []
        window.title = self.title
        gdb.events.stop.connect(self.stopped)
        gdb.events.before_prompt.connect(self.before_prompt)
        self.was_selected: Optional[int] = -2

    def close(self) -> None:
        gdb.events.stop.disconnect(self.stopped)
        gdb.events.before_prompt.disconnect(self.before_prompt)

    def make(self) -> List[str]:
        raise NotImplementedError

    def stopped(self, _event: object) -> None:
        self.first = 0
        self.refresh()

    def selection(self) -> Optional[int]:
        """What the user may have changed without a stop."""
        return moves.selected_node()

    def before_prompt(self) -> None:
        try:
            selected = self.selection()
        except (Fault, gdb.error):
            return
        if selected != self.was_selected:
            self.was_selected = selected
            self.refresh()

    def refresh(self) -> None:
        try:
            self.lines = self.make()
        except (Fault, gdb.error) as fault:
            self.lines = [str(fault)]
        self.render()

    def render(self) -> None:
        if not self.window.is_valid():
            return
        if not self.lines:
            self.refresh()
            return
        height, width = self.window.height, self.window.width
        shown = [line[:width - 1] for line in self.lines[self.first:self.first + height]]
        self.window.erase()
        self.window.write("\n".join(shown), True)

    def vscroll(self, number: int) -> None:
        self.first = max(0, min(self.first + number, len(self.lines) - 1))
        self.render()

    def hscroll(self, number: int) -> None:
        pass


class NodesWindow(Window):
    title = "Nodes"

    def make(self) -> List[str]:
        return text.format_nodes(client.nodes(), moves.selected_node()).splitlines()


class TimelineWindow(Window):
    title = "Timeline"

    def make(self) -> List[str]:
        if live.is_live():
            return [text.describe_moment(client.position())]
        found = timeline.choose("")
        return text.format_events(found.events, found.now, 0).splitlines()


class PacketWindow(Window):
    title = "Packet"

    def selection(self) -> Optional[int]:
        return packet_commands.selected()

    def make(self) -> List[str]:
        number = packet_commands.selected()
        if number is None:
            return ["No packet is selected: `packet ID` selects one, `info packets` lists them."]
        packet, children, _ = client.packet(number)
        return packet_model.format_hops(packet, children, client.position().event).splitlines()


def register() -> None:
    gdb.register_window_type("backhop-packet", PacketWindow)
    gdb.register_window_type("backhop-nodes", NodesWindow)
    gdb.register_window_type("backhop-timeline", TimelineWindow)
    gdb.execute(f"tui new-layout {LAYOUT}", to_string=True)
    gdb.execute(f"tui new-layout {PACKET_LAYOUT}", to_string=True)
