# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a packet was late: the shares of its time (shares.py), and what decided the longest of them.

A share in a node lies between two kernel functions that had the packet. The stack of the one before
tells what it was put into, that of the one behind what took it out again: a timer, a frame, a
program. From there it goes on as for a drop: to the condition and to who put the state there
(reasons.py). Used by why.py.
"""

import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import gdb

from backhop import client, explain, packet_model, reasons, shares, text
from backhop.explain import Report, Scene, cast, text_of
from backhop.model import Event, Fault, Node
from backhop.packet_model import Packet
from backhop.reasons import Call, Decision, State, Walker, Writer
from backhop.shares import Entry, Place, Share

# What a timer that isn't a struct timer_list's calls, kernel/time and net/sched, 6.1 and 6.12; and
# the structure that its argument begins with.
WAKERS: Dict[str, str] = {
    "qdisc_watchdog": "struct hrtimer", "hrtimer_wakeup": "struct hrtimer",
    "process_timeout": "struct timer_list", "tcp_pace_kick": "struct hrtimer",
    "posix_timer_fn": "struct hrtimer", "it_real_fn": "struct hrtimer",
    "timerfd_tmrproc": "struct hrtimer"}
# How a task comes to wait: the function outside of these says for what.
SCHEDULER = re.compile(r"(__)?schedule|context_switch|(__)?switch_to|io_schedule|do_wait|preempt_|"
                       r"(__)?cond_resched|prepare_to_wait|finish_wait|schedule_timeout|user_|bh_")
# Queueing disciplines: their own structure, what matters in it, and what the condition that holds a
# packet is about; net/sched/sch_*.c, 6.1 and 6.12.
QUEUES = {"tbf": ("struct tbf_sched_data", "rate.rate_bytes_ps", "bytes/s", r"\btoks\b"),
          "netem": ("struct netem_sched_data", "latency", "ns", r"\btime_to_send\b"),
          "fq": ("struct fq_sched_data", "flow_default_rate", "bytes/s", r"time_next_packet"),
          "htb": ("", "", "", r"next_event|toks|tokens")}
# So many conditions that a call came by are looked at, and so many told of one that set a timer.
MAX_CONDITIONS = 6
MAX_SETTING = 3
# How a timer is set: the function outside of these says what for.
SETTERS = re.compile(r"(__)?mod_timer|sk_reset_timer|(__)?hrtimer_|qdisc_watchdog_|timer_|"
                     r"add_timer|inet_csk_reset_xmit_timer|neigh_add_timer|schedule_timeout")
MAX_CHAIN = 32
MAX_LOOKED_AT = 64


def seconds(ns: int) -> str:
    return f"{ns / 1e9:.6f} s"


# --- the shares ---

def end_of_link(event: Event, at: Event) -> Optional[shares.Link]:
    """The link's end of an event's device, as it was when another one happened."""
    return explain.link_end(event, at.event)


def link_shares(sent: Event, arrived: Event) -> List[Share]:
    link = end_of_link(sent, sent)
    device = str(link["device"]) if link is not None else f"device {sent.device}"
    return shares.over_link(sent, arrived, device, link, end_of_link(arrived, sent),
                            lambda: shares.sent_before(sent, client.events))


def tunnel_share(packet: Packet, begin: packet_model.PacketHop,
                 end: packet_model.PacketHop) -> Share:
    """A way that it went in other packets."""
    around = [child for child in client.packet(packet.id)[1]
              if child.relation in ("encapsulation", "fragment") and child.source == begin.node]
    ids = [child.id for child in around]
    told = f", in {shares.listed(ids)}: `why {ids[0]}`" if ids else ", in another packet"
    share = Share("tunnel", begin.node, end.vtime_ns - begin.vtime_ns, (begin.event, 0, 0),
                  (end.event, 0, 0), f"from {begin.node} to {end.node}{told}", begin.vtime_ns)
    share.packets = ids
    return share


def trace_of(packet: Packet, node: str = "") -> List[Entry]:
    return [Entry.parse(item) for item in client.packet_trace(packet.id, node)]


def way_shares(packet: Packet, entries: Sequence[Entry]) -> List[Share]:
    """From where it was made to its end."""
    origin, end = packet.origin, packet.ends[0]
    found: List[Share] = []
    for leg in shares.legs(packet, lambda event: client.event(event).cause):
        begin, until = leg.begin, leg.end
        if begin is not None and begin.direction == "tx":
            if until is not None:
                found += link_shares(client.event(begin.event), client.event(until.event))
            continue
        if begin is not None and until is not None and begin.node != until.node:
            found.append(tunnel_share(packet, begin, until))
            continue
        start = (begin.event, begin.vtime_ns) if begin is not None \
            else (origin.event, origin.vtime_ns)
        if until is not None:
            found += shares.stay(entries, until.node, start, (until.event, until.vtime_ns), False)
        elif end.kind == "queued":
            stop = client.event(client.run().events)
            found += shares.stay(entries, end.node, start, (stop.event, stop.vtime_ns), True)
        else:
            found += shares.stay(entries, end.node, start, (end.event, end.vtime_ns), True)
    return found


def former_attempts(packet: Packet) -> List[Packet]:
    """What it was sent as before, the first time first."""
    found: List[Packet] = []
    while packet.relation == "retransmission" and packet.parent and len(found) < MAX_CHAIN:
        packet = client.packet(packet.parent)[0]
        found.insert(0, packet)
    return found


def attempt_shares(packet: Packet, attempts: Sequence[Packet]) -> List[Share]:
    """The times from one transmission of the same data to the next one."""
    found: List[Share] = []
    for before, after in zip(attempts, [*attempts[1:], packet]):
        end = before.ends[0]
        fate = f", which was {end.kind} on {end.node} at event {end.event}: `why {before.id}`" \
            if end.kind in ("dropped", "lost") else f", which was {end.kind}"
        found.append(Share("retransmission", packet.source, after.born_ns - before.born_ns,
                           (before.born_event, 0, 0), (after.born_event, 0, 0),
                           f"its data was sent as packet {before.id}{fate}", before.born_ns))
        found[-1].packets = [before.id, after.id]
    return found


def birth(packet: Packet, entries: Sequence[Entry]) -> Place:
    """Where it was made."""
    for entry in entries:
        if entry.node == packet.source and entry.place[0] == packet.origin.event:
            return entry.place
    return (packet.born_event, 0, 0)


def all_shares(packet: Packet, entries: Sequence[Entry], walker: Walker,
               report: Report) -> List[Share]:
    attempts = former_attempts(packet)
    if attempts:
        first = attempts[0]
        origin = (first.origin.event, first.origin.vtime_ns)
        found = shares.stay(trace_of(first, first.source), first.source, origin,
                            (first.born_event, first.born_ns), False)
        hops = [share for share in way_shares(packet, entries)
                if share.start[0] >= packet.born_event]
        return found + attempt_shares(packet, attempts) + hops
    found = way_shares(packet, entries)
    if packet.origin.kind == "timer":
        place = birth(packet, entries)
        timer = timer_at(walker, report, place)
        if timer is not None and timer.state.writer is not None:
            writer = timer.state.writer
            found.insert(0, Share("timer", packet.source, packet.origin.vtime_ns - writer.vtime_ns,
                                  writer.place, place, f"until {timer.function}() made it",
                                  writer.vtime_ns))
    return found


# --- a line for each ---

def let_go(share: Share) -> str:
    """The event that ended it."""
    event = client.event(share.end[0])
    if event.kind == "tx":
        event = client.event(event.cause)
    where = f"at event {event.event}"
    if event.kind == "rx":
        return f"packet {event.packet} came {where}"
    if event.kind == "timer":
        return f"a timer expired {where}"
    if event.kind == "wake":
        return f"its link had room {where}"
    if event.kind == "stop":
        return "the run ended"
    return f"something went on {where} ({event.kind})"


def reader_of(packet: Packet) -> str:
    end = packet.ends[0]
    return f"{end.program or 'process'}-{end.pid}" if end.pid else "a program"


def describe(share: Share, packet: Packet) -> str:
    """What a share was, from what is known without going there."""
    if share.what:
        return share.what
    function = share.last.name if share.last is not None else "?"
    if share.kind == "neighbour":
        return f"waiting for a neighbour's address, until {let_go(share)}"
    if share.kind == "qdisc":
        return f"in a queueing discipline, until {let_go(share)}"
    if share.kind == "reader":
        return f"in a socket's queue, until {reader_of(packet)} read it"
    if share.kind == "fragments":
        return f"waiting for the other fragments, until {let_go(share)}"
    if share.kind == "order":
        return f"waiting for segments before it, until {let_go(share)}"
    if share.last is None:
        return f"until {let_go(share)}"
    return f"held after {function}(), until {let_go(share)}"


# --- timers ---

@dataclass
class Timer:
    """That expired."""

    function: str
    state: State  # when it was to expire, with who set it
    task: str = ""  # that it woke: COMM-PID


def scene_at(walker: Walker, report: Report, place: Place) -> Scene:
    reasons.go_quietly(place)
    return Scene(walker, report, walker.stack(), place)


def timer_at(walker: Walker, report: Report, place: Place) -> Optional[Timer]:
    """The timer whose function a position is in, or that woke what runs there."""
    scene = scene_at(walker, report, place)
    timer = explain.running_timer(scene)
    index = scene.find("call_timer_fn")
    if timer is not None and index:
        function = scene.calls[index - 1].extent.name
        expires = timer["expires"]
        state = scene.state(f"timer of {function}: expires", f"jiffy {int(expires)}", expires)
        state.note = setter(state)
        return Timer(function, state)
    return waker_at(walker, scene)


def waker_at(walker: Walker, scene: Scene) -> Optional[Timer]:
    node = walker.kernel.node_at(scene.calls[0].pc) if scene.calls else None
    found = []
    for name in WAKERS:
        entry = walker.kernel.entry(node, name) if node is not None else None
        moment = client.last_call(entry, scene.place, scene.place[0]) if entry is not None else None
        if moment is not None:
            found.append((moment.place, name, moment))
    if not found:
        return None
    place, name, moment = max(found, key=lambda item: item[0])
    reasons.go_quietly(place)
    timer = cast(moment.arguments[0], WAKERS[name])
    task = ""
    if name == "hrtimer_wakeup":
        task = task_name(cast(moment.arguments[0], "struct hrtimer_sleeper")["task"])
    expires = timer["node"]["expires"] if WAKERS[name] == "struct hrtimer" else timer["expires"]
    unit = "ns" if WAKERS[name] == "struct hrtimer" else "jiffies"
    state = State(f"timer of {name}: expires", f"{int(expires)} {unit}", int(expires.address), 8,
                  place)
    state.writer = walker.writer(state.address, 8, place)
    state.note = setter(state)
    return Timer(name, state, task)


def task_name(task: gdb.Value) -> str:
    return f"{text_of(task['comm'])}-{int(task['pid'])}" if int(task) else ""


def setter(state: State) -> str:
    """Who set a timer: `tcp_send_delayed_ack <- tcp_rcv_established`."""
    stack = state.writer.stack if state.writer is not None else []
    outside = [name for name in stack if not SETTERS.match(name)]
    return " <- ".join(outside[:3])


def timer_text(timer: Timer, ns: int) -> str:
    writer = timer.state.writer
    if writer is None:
        return f"{timer.function}()"
    return f"{timer.function}(), set {seconds(ns - writer.vtime_ns)} before"


# --- the longest share ---

@dataclass
class Case:
    """What an explainer of a share has to look at."""

    walker: Walker
    report: Report
    packet: Packet
    share: Share

    @property
    def where(self) -> str:
        return self.share.node

    def scene_before(self) -> Scene:
        """In the function that had it last before."""
        assert self.share.last is not None
        return scene_at(self.walker, self.report, self.share.last.place)

    def scene_behind(self) -> Scene:
        """Where it went on."""
        place = self.share.first.place if self.share.first is not None else self.share.end
        return scene_at(self.walker, self.report, place)

    def node(self) -> Node:
        for node in self.walker.kernel.nodes:
            if node.name == self.share.node:
                return node
        raise Fault(f"there is no node {self.share.node}")


def argument(scene: Scene, register: str) -> int:
    """Of a function whose entry the scene is at."""
    reasons.go_quietly(scene.place)
    return int(gdb.newest_frame().read_register(register)) & (1 << 64) - 1


def explain_neighbour(case: Case) -> str:
    """__neigh_event_send(), neigh_update(), net/core/neighbour.c, 6.1 and 6.12."""
    scene = case.scene_before()
    neighbour = cast(argument(scene, "rdi"), "struct neighbour")
    key = explain.address_text(explain.memory(int(neighbour["primary_key"].address),
                                              int(neighbour["tbl"]["key_len"])))
    device = text_of(neighbour["dev"]["name"])
    case.report.decisions = case.walker.walk(scene.calls[1:], scene.place)
    reasons.go_quietly(scene.place)
    field = neighbour["nud_state"]
    case.report.states.append(scene.state(f"neighbour {key} dev {device}: nud_state",
                                          state_names(int(field)), field))
    answer = client.event(case.share.end[0])
    case.report.calls = [call.source for call in case.scene_behind().calls]
    if answer.kind != "rx":
        return f"it waited for the address of neighbour {key} on {device}, until " \
               f"{let_go(case.share)}"
    reply = client.packet(answer.packet)[0]
    case.share.packets = [reply.id]
    asked = ""
    if reply.parent is not None:
        request = client.packet(reply.parent)[0]
        case.share.packets.insert(0, request.id)
        asked = (f", which packet {request.id} had asked for at event {request.born_event}, "
                 f"{text.format_time(request.born_ns)}")
        case.report.notes.append(f"where its time went: `why {reply.id}`, `why {request.id}`")
    return (f"it waited for the address of neighbour {key} on {device}{asked}; the answer, packet "
            f"{reply.id}, came at event {answer.event}")


def state_names(value: int) -> str:
    """NUD_INCOMPLETE and so on, include/uapi/linux/neighbour.h."""
    known = {1: "NUD_INCOMPLETE", 2: "NUD_REACHABLE", 4: "NUD_STALE", 8: "NUD_DELAY",
             16: "NUD_PROBE", 32: "NUD_FAILED", 64: "NUD_NOARP", 128: "NUD_PERMANENT",
             0: "NUD_NONE"}
    return known.get(value, str(value))


# --- queueing disciplines ---

def queue_state(scene: Scene, queue: gdb.Value, kind: str, device: str) -> State:
    """What it was set up with, and by whom."""
    handle = int(queue["handle"]) >> 16
    name = f"qdisc {kind} {handle:x}: dev {device}"
    structure, path, unit, _ = QUEUES.get(kind, ("", "", "", ""))
    if structure:
        try:
            private = cast(int(queue["privdata"].address), structure)
            for part in path.split("."):
                private = private[part]
            return scene.state(f"{name}: {path}", f"{int(private)} {unit}", private)
        except gdb.error:
            pass
    return scene.state(f"{name}: limit", str(int(queue["limit"])), queue["limit"])


def left_meanwhile(case: Case, node: int) -> List[int]:
    """Packets that left by the same device in the meantime."""
    number = case.share.start[0]
    sent = [hop for hop in case.packet.hops if hop.node == case.where and hop.direction == "tx"
            and hop.event >= case.share.end[0]]
    if not sent:
        return []
    own = client.event(sent[0].event)
    found: List[int] = []
    while number < own.event and len(found) < MAX_LOOKED_AT:
        page = client.events(number, shares.PAGE)
        found += [event.packet for event in page if event.kind == "tx" and event.node == node and
                  event.device == own.device and event.event < own.event]
        number += shares.PAGE
    return found


def held_by_link(filled: Event) -> State:
    link = end_of_link(filled, filled) or {}
    return State(f"queue of the link at {filled.where}:{link.get('device', '?')}",
                 f"{link.get('queue_frames', '?')} frames, and it holds the device when it is full "
                 f"(line {link.get('line', '?')} of the scenario)", place=(filled.event, 0, 0))


def explain_qdisc(case: Case) -> str:
    """dev_qdisc_enqueue(), net/core/dev.c; qdisc_watchdog(), net/sched/sch_api.c; 6.1, 6.12."""
    scene = case.scene_before()
    queue = cast(argument(scene, "rsi"), "struct Qdisc")
    kind, device = text_of(queue["ops"]["id"]), text_of(queue["dev_queue"]["dev"]["name"])
    configured = queue_state(scene, queue, kind, device)
    behind = case.scene_behind()
    case.report.calls = [call.source for call in behind.calls]
    others = left_meanwhile(case, case.node().number)
    case.share.packets = others
    before = f" behind {shares.count(len(others), 'packet')} ({shares.listed(others)})" \
        if others else ""
    event = client.event(case.share.end[0])
    said = f"it waited in the queueing discipline {kind} of {device}{before}"
    if event.kind == "wake":
        filled = client.event(event.cause)
        case.report.notes.append(f"the link's queue had been full since packet {filled.packet} was "
                                 f"sent at event {filled.event}: goto {filled.event}")
        case.report.states.append(held_by_link(filled))
        return f"{said} because the link's queue was full, until it had room at event " \
               f"{event.event}"
    timer = waker_at(case.walker, behind)
    if timer is None or timer.state.writer is None:
        case.report.states.append(configured)
        return f"{said}, until {let_go(case.share)}"
    case.report.decisions = why_armed(case, timer.state.writer, kind)
    case.report.states += [configured, timer.state]
    return (f"{said}, until its timer let it go at event {event.event} "
            f"({timer_text(timer, event.vtime_ns)})")


def why_armed(case: Case, writer: Writer, kind: str) -> List[Decision]:
    """The condition because of which a queueing discipline set its timer: the last one that is
    about what this kind of it looks at; if none is, the last one."""
    reasons.go_quietly(writer.place)
    calls = case.walker.stack()
    wanted = QUEUES.get(kind, ("", "", "", ""))[3]
    for index, call in enumerate(calls):
        if call.extent.name.split(".")[0].endswith("_dequeue"):
            found = conditions(case.walker, calls[index:], writer.place)
            matching = [item for item in found if wanted and
                        any(re.search(wanted, decision.source.text) for decision in item)]
            return (matching or found or [[]])[0]
    return []


def conditions(walker: Walker, calls: Sequence[Call], until: Place) -> List[List[Decision]]:
    """The conditions that a call came by on its way to where it is, the last one first."""
    path = walker.path_of(calls[0], until)
    found: List[List[Decision]] = []
    goal: Optional[int] = len(path.steps) - 1
    while goal is not None and goal >= 0 and len(found) < MAX_CONDITIONS:
        found.append(walker.decide(path, goal, calls[1:], until))
        goal = walker.decider(path, goal)
    return [item for item in found if item]


# --- programs ---

def frames_of(node: Node, pid: int) -> List[Tuple[str, reasons.Source]]:
    """The stack of a task where gdb is, newest first; of the kernel's part only what isn't the
    scheduler's."""
    wanted = (node.number + 1) << 24 | (pid + 1)
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == wanted:
            thread.switch()
            break
    else:
        return []
    found: List[Tuple[str, reasons.Source]] = []
    frame: Optional[gdb.Frame] = gdb.newest_frame()
    while frame is not None and len(found) < 40:
        name = frame.name()
        if name and node.has_address(frame.pc()) and not SCHEDULER.match(name):
            found.append((name, reasons.source_of(name, frame.find_sal())))
        frame = frame.older()
    return found


def call_name(stack: Sequence[Tuple[str, reasons.Source]]) -> str:
    """The system call that a task is in."""
    for name, _ in stack:
        match = re.match(r"(?:__do_sys_|__se_sys_|__x64_sys_|__sys_|ksys_)(\w+)", name)
        if match:
            return match.group(1)
    return stack[0][0] if stack else ""


def explain_reader(case: Case) -> str:
    """A program that wasn't waiting for it."""
    end = case.packet.ends[0]
    program = reader_of(case.packet)
    event = client.event(case.share.end[0])
    if event.kind == "stop":
        return "no program read it before the run ended"
    reasons.go_quietly(case.share.start)
    stack = frames_of(case.node(), end.pid) if end.pid else []
    call = call_name(stack)
    if stack:
        case.report.decisions.append(Decision(stack[0][1], case.share.start,
                                              what=f"{program} was here when the packet came"))
    behind = case.scene_behind()
    case.report.calls = [item.source for item in behind.calls]
    timer = waker_at(case.walker, behind)
    said = f"{program} read it late"
    if call:
        said += f": it was in {call}() when the packet came"
    elif end.pid and not stack:
        said += ": it wasn't there yet when the packet came"
    if timer is not None:
        case.report.states.append(timer.state)
        woken = f" woke {timer.task}" if timer.task else ""
        return f"{said}, until a timer{woken} at event {event.event} " \
               f"({timer_text(timer, event.vtime_ns)})"
    return f"{said}, and read it when {let_go(case.share)}"


# --- what was made late ---

def explain_timer(case: Case) -> str:
    timer = timer_at(case.walker, case.report, case.share.end)
    if timer is None:
        return f"it was made when {let_go(case.share)}"
    scene = scene_at(case.walker, case.report, case.share.end)
    case.report.calls = [call.source for call in scene.calls]
    case.report.states.append(timer.state)
    if timer.state.writer is not None:
        case.report.decisions = why_set(case, timer.state.writer)
    return (f"it was made only when a timer of {case.where} expired "
            f"({timer_text(timer, case.packet.origin.vtime_ns)})")


def why_set(case: Case, writer: Writer) -> List[Decision]:
    """The condition because of which a timer was set."""
    reasons.go_quietly(writer.place)
    calls = case.walker.stack()
    while calls and SETTERS.match(calls[0].extent.name):
        calls.pop(0)
    found = conditions(case.walker, calls[1:], writer.place) if len(calls) > 1 else []
    return [decision for item in found[:MAX_SETTING] for decision in item]


RESENDERS = ("__tcp_retransmit_skb", "tcp_retransmit_skb", "tcp_send_loss_probe")


def explain_retransmission(case: Case) -> str:
    """tcp_retransmit_timer(), net/ipv4/tcp_timer.c; tcp_ack(), net/ipv4/tcp_input.c; 6.1, 6.12."""
    before, after = case.share.packets
    lost = client.packet(before)[0].ends[0]
    fate = f", because packet {before} was {lost.kind} on {lost.node} at event {lost.event}" \
        if lost.kind in ("dropped", "lost") else f" although packet {before} was {lost.kind}"
    event = client.event(client.event(case.share.end[0]).cause)
    scene = scene_at(case.walker, case.report, case.share.end)
    case.report.calls = [call.source for call in scene.calls]
    index = scene.find(*RESENDERS)
    by = ""
    while index is not None and index + 1 < len(scene.calls) and \
            set(RESENDERS) & {*scene.calls[index].chain, scene.calls[index].extent.name}:
        by = scene.calls[index].extent.name.split(".")[0]
        index += 1
    if index is not None:
        case.report.decisions = case.walker.walk(scene.calls[index:], scene.place)
    case.report.notes.append(f"what became of packet {before}: `why {before}`")
    timer = timer_at(case.walker, case.report, case.share.end)
    said = f"its data had to be sent again{fate}; {by}() did so when" if by else \
        f"its data had to be sent again{fate}; that was when"
    if timer is None:
        return f"{said} {let_go_of(event)}"
    case.report.states.append(timer.state)
    return f"{said} a timer expired ({timer_text(timer, client.packet(after)[0].born_ns)})"


def let_go_of(event: Event) -> str:
    return f"packet {event.packet} came at event {event.event}" if event.kind == "rx" \
        else f"event {event.event} happened ({event.kind})"


# --- links ---

def link_state(case: Case, name: str, value: str) -> None:
    link = case.share.link or {}
    case.report.states.append(State(
        f"{name} of the link at {case.where}", f"{value} (line {link.get('line', '?')} of the "
        "scenario)", place=case.share.start))


def explain_queue(case: Case) -> str:
    ids = case.share.packets
    link_state(case, "rate", f"{(case.share.link or {}).get('rate_bps')} bit/s")
    if not ids:
        return f"it waited for the link at {case.where}"
    last = client.packet(ids[-1])[0]
    case.report.notes.append(f"before it: packet {last.id}: {last.summary}")
    return (f"it waited for the link at {case.where} behind {shares.count(len(ids), 'frame')} "
            f"({shares.listed(ids)})")


def explain_rate(case: Case) -> str:
    rate = (case.share.link or {}).get("rate_bps")
    link_state(case, "rate", f"{rate} bit/s")
    sent = case.share.sent
    return f"its {sent.length if sent else '?'} bytes take so long at {rate} bit/s on the link " \
           f"at {case.where}"


def explain_propagation(case: Case) -> str:
    link = case.share.link or {}
    jitter = f" ± {seconds(shares.number(link, 'jitter_ns'))}" if link.get("jitter_ns") else ""
    link_state(case, "delay", seconds(shares.number(link, "delay_ns")) + jitter)
    return f"the link at {case.where} is that long"


# --- the rest ---

def explain_held(case: Case) -> str:
    """Anything else: who had it last, and what took it up again."""
    said = describe(case.share, case.packet)
    if case.share.first is None and client.event(case.share.end[0]).kind == "stop":
        return f"it was {said}"
    behind = case.scene_behind()
    case.report.calls = [call.source for call in behind.calls]
    if case.share.first is not None:
        case.report.decisions = case.walker.walk(behind.calls[1:], behind.place)
    timer = timer_at(case.walker, case.report, behind.place) \
        if client.event(case.share.end[0]).kind == "timer" else None
    if timer is not None:
        case.report.states.append(timer.state)
        said += f" ({timer_text(timer, client.event(case.share.end[0]).vtime_ns)})"
    case.report.is_guess = case.share.kind in ("held", "fragments", "order")
    return f"it was {said}"


def explain_tunnel(case: Case) -> str:
    return f"it was on its way {case.share.what}"


EXPLAINERS: Dict[str, Callable[[Case], str]] = {
    "neighbour": explain_neighbour, "qdisc": explain_qdisc, "reader": explain_reader,
    "timer": explain_timer, "retransmission": explain_retransmission, "queue": explain_queue,
    "rate": explain_rate, "propagation": explain_propagation, "tunnel": explain_tunnel,
    "link": explain_tunnel}


def explain_delay(report: Report, packet: Packet, walker: Walker) -> None:
    """A packet that was neither dropped nor lost."""
    report.packet = packet
    entries = trace_of(packet)
    report.shares = all_shares(packet, entries, walker, report)
    for share in report.shares:
        share.what = describe(share, packet)
    if not report.shares:
        report.summary = "it took no time"
        return
    report.longest = max(report.shares, key=lambda share: share.ns)
    longest, total = report.longest, sum(share.ns for share in report.shares)
    said = EXPLAINERS.get(longest.kind, explain_held)(
        Case(walker, report, packet, longest))
    report.summary = f"{seconds(longest.ns)} of {seconds(total)}: {said}" \
        if len(report.shares) > 1 else f"{seconds(total)}: {said}"
    for decision in report.decisions:
        reasons.find_sites(decision)


def share_lines(report: Report) -> List[str]:
    lines: List[str] = []
    for share in report.shares:
        mark = "*" if share is report.longest else " "
        places = " ".join(f"goto {reasons.goto_text(place)}" for place in (share.start, share.end))
        lines.append(f"{mark} {seconds(share.ns):>12}  {share.node}: {share.what}; {places}")
    return lines


def share_json(report: Report) -> List[Dict[str, object]]:
    return [{"kind": share.kind, "where": share.node, "ns": share.ns, "what": share.what,
             "start_ns": share.start_ns, "from": reasons.goto_text(share.start),
             "to": reasons.goto_text(share.end), "event": share.end[0], "packets": share.packets,
             "function": share.last.name if share.last is not None else None,
             "is_longest": share is report.longest} for share in report.shares]
