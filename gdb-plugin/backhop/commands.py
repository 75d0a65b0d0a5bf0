# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look and move: backhop, info nodes, when, goto. What follows packets is in
packet_commands.py."""

import re

import gdb

from backhop import client, data, live, moves, packet_commands, text, timeline
from backhop.base import Command, Completion, node_names, take_option
from backhop.model import Fault

GOTO_WORDS = ("start", "end", "failure")


class Backhop(gdb.Command):
    """Replay a recorded network simulation, forwards and backwards.

Every node runs a real Linux kernel; each of its tasks is a thread called
NODE/TASK. gdb's own reverse-step, reverse-next, reverse-finish,
reverse-continue and watchpoints work. These commands are added:

  info nodes                     the nodes and their kernel images
  node NAME                      look at another node
  node break NODES LOCATION      a breakpoint on some nodes only
  node apply NODES COMMAND       a command on each of some nodes
  goto PLACE                     an event, a time, a packet, start, end, failure
  info timeline [FROM..TO]       events around here, or in a range
  when                           where the replay is, and why that happened
  reverse-hop                    back over the wire: to where the frame was sent
  hop                            forward over the wire: to where it arrived
  info packets [FILTER]          the packets of the run, as pcap-filter picks them
  packet ID                      select one: hop and reverse-hop follow it
  info hops                      its way
  packet origin                  to the system call or timer that made it
  packet trace [ID]              the kernel functions that handled it
  packet break FILTER            stop where such packets are received or sent
  why [ID]                       what decided that a packet was dropped or lost

The position is in registers, for expressions and conditions: $node, $event,
$vtime (nanoseconds), $packet and $task (process id; -1 outside a node).
Conditions on them are checked by the replay itself, so they are fast:
  break tcp_v4_rcv if $node == 2 && $vtime > 5000000000
As in DCE, dce_debug_nodeid(), dce_debug_is_node(N), dce_debug_processname() and
dce_debug_lookup("NAME") work in conditions and in print, in both directions;
`call dce_debug_monitor(N)` stops whenever node N switches to another task.

`lx-ps`, `lx-dmesg`, `lx-mounts`, `lx-version` and `lx-cmdline` tell of the kernel of
the selected node. `layout backhop` shows nodes and timeline in windows.

A caution: when several nodes run, gdb looks up a *static* variable of another
source file in the first node. $bh_symbol("NAME") finds it in the selected
frame's own node."""

    def __init__(self) -> None:
        super().__init__("backhop", gdb.COMMAND_RUNNING, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        gdb.execute("help backhop")


class InfoNodes(Command):
    """List the nodes: number, name, threads, where the kernel image lies.

`*` marks the node of the selected thread. Change it with `node NAME`.
With --json it prints one JSON array, for programs."""

    def __init__(self) -> None:
        super().__init__("info nodes", gdb.COMMAND_STATUS)

    def run(self, argument: str) -> None:
        is_json, argument = take_option(argument, "--json")
        if argument:
            raise Fault(f"info nodes takes --json or nothing, not '{argument}'")
        if is_json:
            print(data.as_json([data.of_node(node, moves.selected_node())
                                for node in client.nodes()]))
        else:
            print(text.format_nodes(client.nodes(), moves.selected_node()))


class When(Command):
    """Tell where the replay is: event, virtual time, node, and what caused the event.

The position that it prints can be given to `goto` later. With --json it prints
one JSON object, for programs."""

    def __init__(self) -> None:
        super().__init__("when", gdb.COMMAND_STATUS)

    def run(self, argument: str) -> None:
        is_json, argument = take_option(argument, "--json")
        if argument:
            raise Fault(f"when takes --json or nothing, not '{argument}'")
        position = client.position()
        if is_json:
            print(data.as_json(data.of_position(position)))
            return
        if live.is_live():
            print(text.describe_moment(position))
            return
        event = client.event(position.event)
        cause = client.event(event.cause) if event.cause else None
        print(text.describe_position(position, event, cause))


class Goto(Command):
    """Go to a place in the run, forwards or backwards.

  goto 812          the beginning of event 812
  goto 5.02s        the first event at or after this time (ns, us, ms, s)
  goto 795.1        where packet 795 begins its hop 1
  goto 812:20:3     an exact position, as `when` prints it
  goto start        the first event
  goto end          the last event
  goto failure      the event at which the run failed

An event of a node's own doing, such as a transmission, begins in the simulator:
then the frame of the node's code that led to it is selected."""

    def __init__(self) -> None:
        super().__init__("goto", gdb.COMMAND_RUNNING)

    def complete(self, argument: str, word: str) -> Completion:
        return [name for name in GOTO_WORDS if name.startswith(word)]

    def run(self, argument: str) -> None:
        if not argument:
            raise Fault("goto where? say an event's number, a time with its unit (5.02s), "
                        "PACKET.HOP, start, end or failure")
        moves.go(argument)
        if re.fullmatch(r"\d+\.\d+", argument):  # its hops are followed from here
            packet_commands.select(int(argument.partition(".")[0]))
        if ":" not in argument:  # an exact position comes back as it was
            moves.select_caller_of_simulator()
        print(text.describe_event(client.event(client.position().event)))


class InfoTimeline(Command):
    """List events of the run: info timeline [FROM[..TO]] [NODE[,NODE...]] [--json]

  info timeline                  those around the current one, which is marked
  info timeline 800..820         by number
  info timeline 5s..5.1s r1,r2   by time, of some nodes only
  info timeline failure          those around the failure

FROM and TO are what `goto` takes. A line can be gone to by its number."""

    def __init__(self) -> None:
        super().__init__("info timeline", gdb.COMMAND_STATUS)

    def complete(self, argument: str, word: str) -> Completion:
        return [name for name in (*GOTO_WORDS, *node_names()) if name.startswith(word)]

    def run(self, argument: str) -> None:
        is_json, argument = take_option(argument, "--json")
        found = timeline.choose(argument)
        if is_json:
            print(data.as_json([data.of_event(event) for event in found.events]))
        else:
            print(text.format_events(found.events, found.now, found.left_out))


def register() -> None:
    for command in (Backhop, InfoNodes, InfoTimeline, When, Goto):
        command()
