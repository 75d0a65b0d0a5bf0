# SPDX-License-Identifier: GPL-2.0-or-later
"""How things look to the user. Plain: knows nothing of gdb."""

from typing import List, Optional, Sequence

from backhop.model import Event, Hop, Node, Position, Run

# Longer lists of node names are cut.
MAX_NAMES = 16


def format_time(vtime_ns: int) -> str:
    """Seconds with all nine decimals, as `goto` takes them: 5.020001250s."""
    return f"{vtime_ns // 1_000_000_000}.{vtime_ns % 1_000_000_000:09d}s"


def format_packet(event: Event) -> str:
    """A frame's PACKET.HOP, as `goto` takes it."""
    return f"{event.packet}.{event.hop}"


def describe_event(event: Event) -> str:
    """One line: `event 812 (rx) on r2 at 5.020001250s: packet 795.1, 98 bytes`."""
    line = f"event {event.event} ({event.kind}) on {event.where} at {format_time(event.vtime_ns)}"
    if event.packet and event.kind in ("rx", "tx", "lost"):
        line += f": packet {format_packet(event)}, {event.length} bytes"
    return line


def describe_position(position: Position, event: Event, cause: Optional[Event]) -> str:
    """What `when` prints."""
    lines = [describe_event(event)]
    if cause:
        lines.append(f"caused by {describe_event(cause)}")
    else:
        lines.append("caused by the scenario")
    now = position.node_name or "the simulator"
    lines.append(f"now {now} has the CPU, at {format_time(position.vtime_ns)}; "
                 f"goto {position.target} leads back here")
    if position.divergence:
        lines.append(f"the replay has left its recording: {position.divergence}")
    return "\n".join(lines)


def describe_moment(position: Position) -> str:
    """What `when` prints of a live run."""
    return (f"event {position.event}, at {format_time(position.vtime_ns)}; "
            f"{position.node_name or 'the simulator'} has the CPU")


def describe_hop(hop: Hop) -> str:
    """One line about a frame's way over one link."""
    verb = {"rx": "received", "lost": "lost"}.get(hop.arrived.kind, hop.arrived.kind)
    line = (f"{hop.sent.where} sent packet {format_packet(hop.sent)} at event {hop.sent.event}, "
            f"{format_time(hop.sent.vtime_ns)}; ")
    if hop.arrived.kind == "lost":
        return line + (f"the link lost it at event {hop.arrived.event}, "
                       f"{format_time(hop.arrived.vtime_ns)}")
    return line + (f"{hop.arrived.where} {verb} it at event {hop.arrived.event}, "
                   f"{format_time(hop.arrived.vtime_ns)}")


def format_nodes(nodes: Sequence[Node], selected: Optional[int]) -> str:
    """The table of `info nodes`; `*` marks the node of the selected thread."""
    width = max([4] + [len(node.name) for node in nodes])
    lines = [f"  Id   {'Name':<{width}}  Threads  Kernel image"]
    for node in nodes:
        mark = "*" if node.number == selected else " "
        running = "  (has the CPU)" if node.is_running else ""
        lines.append(f"{mark} {node.number:<4} {node.name:<{width}}  {node.threads:>7}  "
                     f"{node.base:#x} {node.image}{running}")
    return "\n".join(lines)


def format_event(event: Event, is_now: bool, width: int) -> str:
    packet = ""
    if event.packet:
        packet = f"  packet {format_packet(event)}" + (f", {event.length} bytes" if event.length
                                                       else "")
    return (f"{'*' if is_now else ' '} {event.event:>{width}}  {format_time(event.vtime_ns):>15}  "
            f"{event.where:<13}  {event.kind:<8}{packet}").rstrip()


def format_events(events: Sequence[Event], now: int, left_out: int) -> str:
    """The lines of `info timeline`; `*` marks where the replay is."""
    if not events:
        return "There is no event there."
    width = max(5, len(str(events[-1].event)))
    lines = [f"  {'Event':>{width}}  {'Time':>15}  {'Node':<13}  Kind"]
    lines += [format_event(event, event.event == now, width) for event in events]
    if left_out:
        lines.append(f"There are more; go on with `info timeline {events[-1].event + 1}..`.")
    return "\n".join(lines)


def format_names(names: Sequence[str]) -> str:
    if len(names) > MAX_NAMES:
        return ", ".join(names[:MAX_NAMES]) + f" and {len(names) - MAX_NAMES} more"
    return ", ".join(names)


def describe_run(run: Run, nodes: Sequence[Node]) -> str:
    """What the user sees first."""
    names = format_names([node.name for node in nodes])
    who = f"{run.alone} alone" if run.alone else f"{len(nodes)} nodes ({names})"
    lines: List[str] = [f"Replay of {run.scenario}, seed {run.seed}: {who}, {run.events} events."]
    for failure in run.failures:
        lines.append(f"Failed: {failure.what} on {failure.node} at event {failure.event}, "
                     f"{format_time(failure.vtime_ns)}: {failure.detail}")
    if not run.is_complete:
        lines.append("The recording was cut short; the replay ends with its last event.")
    if run.failures and run.alone in ("", run.failures[0].node):
        lines.append("Type `goto failure` to go there, `help backhop` for what else there is.")
    else:
        lines.append("Type `help backhop` for the commands, `goto end` for the end of the run.")
    return "\n".join(lines)
