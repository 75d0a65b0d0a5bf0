# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command `why` (why_command.py) tells: from a packet's end back to what decided it.

It finds the event (which()), lets reasons.py walk back from it and explain.py say what that means,
prints a report, and ends where it began.
"""

import json
import re
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

import gdb

from backhop import client, delay, explain, moves, packet_model, reasons, text
from backhop.base import take_option
from backhop.model import Event, Fault, Object

# Drops that say nothing of a fault: multicasts that nobody listens to, and what was still in a
# socket's queue when the program closed it.
QUIET = ("ip6_mc_input", "ip_mc_input", "inet_sock_destruct", "skb_queue_purge",
         "skb_queue_purge_reason", "inet6_sock_destruct")
# They drop what a raw socket has taken already, and reports of multicast listeners.
ECHOES = ("icmp_rcv", "icmpv6_rcv")
MAX_DROPS = 256
MAX_CALLS = 12
Answer = TypeVar("Answer")
USAGE = "say a packet's number, `event N` for the drop or loss at an event, or nothing"


def drop_function(event: Event, walker: reasons.Walker) -> str:
    """The function that a DROP event names."""
    for node in walker.kernel.nodes:
        if node.number == event.node:
            extent = walker.kernel.symbols(node).at((event.value >> 16) - 1)
            return extent.name if extent is not None else ""
    return ""


def is_quiet(event: Event, walker: reasons.Walker) -> bool:
    if event.kind != "drop":
        return False
    return drop_function(event, walker).split(".")[0] in QUIET or is_echo(event, walker)


def is_echo(event: Event, walker: reasons.Walker) -> bool:
    """Was it taken, and then only thrown away?"""
    return event.kind == "drop" and drop_function(event, walker).split(".")[0] in ECHOES and \
        reason_name(event) in ("NO_SOCKET", "NOT_SPECIFIED")


def packet_event(number: int, walker: reasons.Walker) -> Event:
    """The event that ended a packet, or the last one of its way."""
    packet = client.packet(number)[0]
    for end in packet.ends:
        if end.kind in ("dropped", "lost"):
            event = client.event(end.event)
            if not is_echo(event, walker):
                return event
    return client.event(packet.hops[-1].event if packet.hops else packet.born_event)


def numbered_event(number: int) -> Event:
    event = client.event(number)
    if event.kind not in ("drop", "lost"):
        raise Fault(f"event {number} is no drop or loss but {event.kind}; `backhop events --kind "
                    "drop` lists the drops of a trace, `why` alone takes the last one")
    return event


def last_event(walker: reasons.Walker) -> Event:
    """The last drop or loss before the position; from the run's beginning, before its failure."""
    position = client.position().event
    run = client.run()
    until = position
    if position <= 1:
        until = min([failure.event for failure in run.failures if failure.event] or [run.events])
    events = client.drops(until, MAX_DROPS)
    for event in events:
        if not is_quiet(event, walker):
            return event
    if events:
        return events[0]
    raise Fault(f"no packet was dropped or lost up to event {until}; `goto` a later one, or say "
                "which packet: why ID")


def which(argument: str, walker: reasons.Walker) -> Event:
    if not argument:
        return last_event(walker)
    match = re.fullmatch(r"(event\s+)?(\d+)(\.\d+)?", argument)
    if not match or (match.group(1) and match.group(3)):
        raise Fault(f"'{argument}' is no packet; {USAGE}")
    return numbered_event(int(match.group(2))) if match.group(1) \
        else packet_event(int(match.group(2)), walker)


def reason_name(event: Event) -> str:
    if event.kind == "lost":
        return explain.LOSSES.get(event.value, str(event.value))
    if event.kind != "drop":
        return ""
    try:
        fields = gdb.lookup_type("enum skb_drop_reason").fields()
    except gdb.error:
        fields = []
    for field in fields:
        if field.enumval == event.value & 0xffff:
            return str(field.name).replace("SKB_DROP_REASON_", "").replace("SKB_", "")
    return str(event.value & 0xffff)


# --- finding out ---

def investigate(event: Event, walker: reasons.Walker) -> explain.Report:
    report = explain.Report(event, reason_name(event))
    if event.kind == "lost":
        explain.explain_loss(report)
        return report
    if event.kind != "drop":
        delay.explain_delay(report, client.packet(event.event)[0], walker)
        return report
    place = (event.event, 0, 0)
    reasons.go_quietly(place)
    calls = walker.stack()
    while calls and reasons.MACHINERY.match(calls[0].extent.name):
        calls.pop(0)
    if not calls:
        raise Fault(f"the stack of event {event.event} can't be read; `goto {event.event}` and "
                    "`backtrace` show what there is")
    report.calls = [call.source for call in calls]
    report.decisions = walker.walk(calls, place)
    scene = explain.Scene(walker, report, calls, place)
    explain.explain(scene)
    for decision in report.decisions[:MAX_CALLS]:
        if decision.place != place:
            reasons.find_sites(decision)
    if not report.decisions:
        report.decisions = [reasons.Decision(calls[0].source, place,
                                             what="it always drops the packet")]
    return report


def tell_origin(report: explain.Report) -> None:
    """What packet it is and who made it, by the table of packets."""
    try:
        packet = client.packet(report.event.event)[0]
    except Fault:
        return
    report.notes.append(f"packet {packet.id}: {packet.summary}")
    report.notes.append(f"{packet_model.describe_origin(packet.origin)}: goto "
                        f"{packet.origin.event}")


# --- telling ---

def writer_lines(state: reasons.State) -> List[str]:
    writer = state.writer
    if writer is None:
        return []
    lines = [f"      set by {explain.told(writer)} at event {writer.place[0]}, "
             f"{text.format_time(writer.vtime_ns)}, in {writer.source}"]
    lines.append(f"      goto {reasons.goto_text(writer.place)}")
    return lines


def state_line(state: reasons.State) -> str:
    note = f" ({state.note})" if state.note else ""
    return f"{state.name} = {state.value}{note}"


def headline(report: explain.Report) -> str:
    event = report.event
    packet = f"packet {text.format_packet(event)}" if event.packet else \
        "a packet that was never sent"
    time = text.format_time(event.vtime_ns)
    if event.kind == "lost":
        return f"{packet} was lost ({report.reason}) at event {event.event}, {time}"
    if event.kind == "drop":
        return (f"{event.where} dropped {packet}, {event.length} bytes ({report.reason}), at event "
                f"{event.event}, {time}")
    if report.packet is not None:
        end = report.packet.ends[0]
        return f"packet {report.packet.id}: {end} at event {end.event}, " \
               f"{text.format_time(end.vtime_ns)}"
    return f"{packet}: the last that is recorded of it is {event.kind} on {event.where} at event " \
           f"{event.event}, {time}"


def describe(report: explain.Report) -> str:
    head = headline(report)
    lines = [head + "."]
    if report.summary:
        lines.append(f"Why: {report.summary}.")
    lines += decision_lines(report.decisions)
    for state in report.states:
        lines.append(f"  state {state_line(state)}")
        lines += writer_lines(state)
    if report.calls:
        calls = [str(call) for call in report.calls[:MAX_CALLS]]
        lines.append("  calls " + "\n        ".join(calls))
    lines += [f"  {line}" for line in delay.share_lines(report)]
    lines += [f"  {note}" for note in report.notes]
    if report.is_guess:
        lines.append("  What it means is a guess: this was put together from what happened."
                     if report.summary else
                     "  What it means is for you to say: `why` knows nothing more of this place.")
    number = report.packet.ends[0].event if report.packet is not None else report.event.event
    lines.append(f"  goto {number} leads to the event itself")
    return "\n".join(lines)


def decision_lines(decisions: Sequence[reasons.Decision]) -> List[str]:
    lines: List[str] = []
    for number, decision in enumerate(decisions):
        lines.append(f"  {'decided' if not number else 'because'} in {decision.source}")
        if decision.source.text:
            lines.append(f"      {decision.source.text}")
        for site in decision.sites:
            lines.append(f"      inlined into {site}: {site.text}")
        if decision.what:
            lines.append(f"      {decision.what}")
        lines += [f"      where {state_line(state)}" for state in decision.states]
        lines.append(f"      goto {reasons.goto_text(decision.place)}")
    return lines


def source_json(source: reasons.Source) -> Dict[str, Any]:
    return {"function": source.function, "file": source.file, "line": source.line,
            "text": source.text}


def state_json(state: reasons.State) -> Dict[str, Any]:
    data: Dict[str, Any] = {"name": state.name, "value": state.value, "note": state.note,
                            "goto": reasons.goto_text(state.place) if state.place else None,
                            "writer": None}
    writer = state.writer
    if writer is not None:
        data["writer"] = {"event": writer.place[0], "goto": reasons.goto_text(writer.place),
                          "vtime_ns": writer.vtime_ns, "task": writer.task,
                          "command": writer.command, "source": source_json(writer.source),
                          "stack": writer.stack}
    return data


def to_data(report: explain.Report) -> Object:
    event = report.event
    ends: Object = {"event": event.event, "kind": event.kind, "node": event.node_name,
                    "vtime_ns": event.vtime_ns, "packet": event.packet, "hop": event.hop}
    if report.packet is not None:
        end = report.packet.ends[0]
        ends.update(event=end.event, kind=end.kind, node=end.node, vtime_ns=end.vtime_ns,
                    packet=report.packet.id)
    return {
        **ends,
        "reason": report.reason, "summary": report.summary, "is_guess": report.is_guess,
        "decisions": [{"source": source_json(decision.source), "what": decision.what,
                       "sites": [source_json(site) for site in decision.sites],
                       "goto": reasons.goto_text(decision.place),
                       "states": [state_json(state) for state in decision.states]}
                      for decision in report.decisions],
        "states": [state_json(state) for state in report.states],
        "calls": [source_json(call) for call in report.calls], "notes": report.notes,
        "shares": delay.share_json(report)}


class Selected:
    """What is selected, to come back to."""

    def __init__(self) -> None:
        self.target = client.position().target
        self.thread: Optional[gdb.InferiorThread] = gdb.selected_thread()
        self.level = 0
        try:
            self.level = gdb.selected_frame().level()
        except gdb.error:
            pass

    def restore(self) -> None:
        with reasons.silence():
            if client.position().target != self.target:
                moves.go(self.target)
            if self.thread is not None and self.thread.is_valid():
                self.thread.switch()
            gdb.execute(f"frame {self.level}", to_string=True)


class Breakpoints:
    """None of the user's stops a walk."""

    def __init__(self) -> None:
        self.disabled = [item for item in gdb.breakpoints() if item.enabled]

    def __enter__(self) -> None:
        for item in self.disabled:
            item.enabled = False

    def __exit__(self, *_: object) -> None:
        for item in self.disabled:
            if item.is_valid():
                item.enabled = True


def explain_value(expression: str, walker: reasons.Walker) -> str:
    """Who wrote a variable or field last, and what decided that."""
    value = gdb.parse_and_eval(expression)
    size = int(value.type.sizeof)
    if value.address is None or size not in (1, 2, 4, 8):
        raise Fault(f"'{expression}' isn't in memory, or has not 1, 2, 4 or 8 bytes; say a "
                    "variable or field, such as skb->dev")
    position = client.position()
    place = (position.event, position.tick, position.instruction)
    state = reasons.State(expression, value.format_string(max_elements=8), int(value.address), size)
    moment = client.last_write(state.address, size, place)
    if moment is None:
        return f"{state_line(state)}\n  nobody wrote it since the run began"
    state.writer = walker.describe(moment)
    lines = [state_line(state), *writer_lines(state)]
    names = " <- ".join(state.writer.stack[:MAX_CALLS])
    lines.append(f"      calls {names}")
    decisions = walker.walk_writer(state, place)
    for decision in decisions:
        reasons.find_sites(decision)
    return "\n".join(lines + decision_lines(decisions))


def quietly(ask: Callable[[reasons.Walker], Answer]) -> Answer:
    """Walks, and comes back."""
    walker = reasons.Walker(client.nodes())
    selected = Selected()
    try:
        with Breakpoints():
            return ask(walker)
    finally:
        selected.restore()


def report_of(argument: str, walker: reasons.Walker) -> explain.Report:
    report = investigate(which(argument, walker), walker)
    tell_origin(report)
    return report


def told(argument: str) -> str:
    if argument.startswith("value "):
        return quietly(lambda walker: explain_value(argument[len("value "):].strip(), walker))
    is_json, rest = take_option(argument, "--json")
    report = quietly(lambda walker: report_of(rest, walker))
    return json.dumps(to_data(report)) if is_json else describe(report)


def for_machine(arguments: List[str]) -> Object:
    """-backhop-why."""
    return {"why": to_data(quietly(lambda walker: report_of(" ".join(arguments), walker)))}
