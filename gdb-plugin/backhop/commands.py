# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look and move: backhop, info nodes, when, goto, hop, reverse-hop."""

import gdb

from backhop import client, live, moves, text
from backhop.base import Command, Completion
from backhop.model import Fault, Hop

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
  when                           where the replay is, and why that happened
  reverse-hop                    back over the wire: to where the frame was sent
  hop                            forward over the wire: to where it arrived
  why [ID]                       what decided that a packet was dropped or lost

The position is in registers, for expressions and conditions: $node, $event,
$vtime (nanoseconds), $packet and $task (process id; -1 outside a node).
Conditions on them are checked by the replay itself, so they are fast:
  break tcp_v4_rcv if $node == 2 && $vtime > 5000000000
As in DCE, dce_debug_nodeid(), dce_debug_is_node(N), dce_debug_processname() and
dce_debug_lookup("NAME") work in conditions and in print, in both directions.

A caution: when several nodes run, gdb looks up a *static* variable of another
source file in the first node. $bh_symbol("NAME") finds it in the selected
frame's own node."""

    def __init__(self) -> None:
        super().__init__("backhop", gdb.COMMAND_RUNNING, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        gdb.execute("help backhop")


class InfoNodes(Command):
    """List the nodes: number, name, threads, where the kernel image lies.

`*` marks the node of the selected thread. Change it with `node NAME`."""

    def __init__(self) -> None:
        super().__init__("info nodes", gdb.COMMAND_STATUS)

    def run(self, argument: str) -> None:
        print(text.format_nodes(client.nodes(), moves.selected_node()))


class When(Command):
    """Tell where the replay is: event, virtual time, node, and what caused the event.

The position that it prints can be given to `goto` later."""

    def __init__(self) -> None:
        super().__init__("when", gdb.COMMAND_STATUS)

    def run(self, argument: str) -> None:
        position = client.position()
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
        if ":" not in argument:  # an exact position comes back as it was
            moves.select_caller_of_simulator()
        print(text.describe_event(client.event(client.position().event)))


def tell_hop(hop: Hop) -> None:
    print(text.describe_hop(hop))


class ReverseHop(Command):
    """Go back over the wire: to where the frame that is being handled was sent.

From anything that a received frame led to, on the node that has the CPU, this
goes to the sender, to the event of the transmission, and selects the frame of
its driver's transmit function. Its whole stack and variables are there; again
`reverse-hop` goes one node further back."""

    def __init__(self) -> None:
        super().__init__("reverse-hop", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        position = client.position()
        node = position.node
        if node is None:
            node = client.event(position.event).node
        if node is None:
            raise Fault(f"event {position.event} happens on no node; go to one of a node first, "
                        "`goto failure` for example")
        hop = client.hop_back(position.event, node)
        moves.go(str(hop.sent.event))
        tell_hop(hop)
        moves.select_node_frame()


class ForwardHop(Command):
    """Go forward over the wire: to where the next frame that is sent arrives.

If the link loses the frame, this goes to the event of the loss."""

    def __init__(self) -> None:
        super().__init__("hop", gdb.COMMAND_RUNNING)

    def run(self, argument: str) -> None:
        hop = client.hop_forward(client.position().event)
        moves.go(str(hop.arrived.event))
        tell_hop(hop)


def register() -> None:
    for command in (Backhop, InfoNodes, When, Goto, ReverseHop, ForwardHop):
        command()
