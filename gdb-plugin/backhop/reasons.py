# SPDX-License-Identifier: GPL-2.0-or-later
"""How a kernel came to do something: from a call that is on the stack back to the condition that
led there, from the condition to the state that it looked at, from the state to who wrote it.

Nothing here knows a protocol: it follows the code and the values. What the places mean is in
explain.py. Used by why.py.
"""

import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import gdb

from backhop import client, flow, moves, names
from backhop.model import Fault, Moment, Node
from backhop.symbols import Extent, Symbols

# What only carries a drop out, or tells of it: no decision of a protocol's is in there.
MACHINERY = re.compile(r"(__)?(sk_skb_reason_drop|kfree_skb|trace_kfree_skb|packet_dropped|"
                       r"do_trace_kfree|skb_release|kfree_skb_list)|__traceiter_|__bpf_trace|bh_")
# What isn't followed into: sums, searches and clocks, whose result says it all.
OPAQUE = re.compile(r"(?!fib6_rule_lookup$).*(csum|checksum|hash|crc|memcmp|strcmp|lookup|_find|"
                    r"crypto|clock|ktime_get)")
# Conditions that are there for those who trace a kernel.
DULL = re.compile(r"static_key_|static_branch_|trace_|__bpf_|kmemleak_|arch_static")
# So many instructions may lie between a condition and a reading that stands before it.
MAX_MOVED = 32
# So many conditions of one `return a && b && c` are told.
MAX_TERMS = 6
# A value that was returned is followed into so many functions.
MAX_DESCENT = 8
MAX_CALLERS = 12
MAX_STATEMENT_LINES = 8
MAX_COMMAND_BYTES = 300
# About the size of a kernel stack.
STACK_BYTES = 16384


@dataclass
class Source:
    """A place in the kernel's sources."""

    function: str
    file: str = ""
    line: int = 0
    text: str = ""  # the statement there; empty: the sources aren't here

    def __str__(self) -> str:
        place = f" at {self.file}:{self.line}" if self.file else ""
        return f"{self.function}{place}"


@dataclass
class Writer:
    """Who wrote a place in memory last, and when."""

    place: flow.Place
    vtime_ns: int
    node: Optional[int]
    task: str  # NODE/COMM-PID
    command: str  # the program's command line; empty: none is known
    source: Source
    stack: List[str]  # functions, newest first


@dataclass
class State:
    """Something that a condition looked at."""

    name: str
    value: str
    address: int = 0
    size: int = 0
    place: Optional[flow.Place] = None  # where it was read
    writer: Optional[Writer] = None
    note: str = ""


@dataclass
class Decision:
    """A condition that led on to the drop."""

    source: Source
    place: flow.Place
    states: List[State] = field(default_factory=list)
    callees: List[str] = field(default_factory=list)  # functions that gave what it compared
    what: str = ""  # if it isn't a condition: what was decided
    # If it is in inline functions: where those are called, the innermost first.
    sites: List[Source] = field(default_factory=list)


@dataclass
class Call:
    """A function on the stack, where it has called the next one."""

    extent: Extent
    base: int  # of its node's image
    pc: int
    entry_sp: int
    chain: List[str]  # its name, behind those of functions that are inlined there
    source: Source  # where it is itself, not what is inlined there


def goto_text(place: Sequence[int]) -> str:
    return ":".join(str(number) for number in place)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What gdb prints at a stop can't be had as a string: it goes past that to the
    terminal, or wherever gdb writes."""
    gdb.flush()
    gdb.flush(gdb.STDERR)
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    try:
        yield
    finally:
        gdb.flush()
        gdb.flush(gdb.STDERR)
        for number, copy in zip((1, 2), kept):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def go_quietly(place: Sequence[int]) -> None:
    """Without the lines that gdb prints at a stop."""
    with silence():
        moves.go(goto_text(place))


# --- sources ---

_lines: Dict[str, List[str]] = {}


def lines_of(path: str) -> List[str]:
    if path not in _lines:
        _lines[path] = []
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                _lines[path] = stream.read().splitlines()
        except OSError:
            pass
    return _lines[path]


def is_unfinished(text: str) -> bool:
    return text.count("(") > text.count(")") or text.endswith(("&&", "||", "=", ","))


def statement_at(lines: Sequence[str], number: int) -> str:
    """The statement that a line belongs to, in one line."""
    if not 0 < number <= len(lines):
        return ""
    first = number
    while first > max(1, number - MAX_STATEMENT_LINES) and \
            not re.match(r"\s*(\}?\s*else\b|if\b|while\b|for\b|switch\b|return\b|case\b)",
                         lines[first - 1]):
        before = lines[first - 2].strip()
        if not before or before.endswith((";", "{", "}", ":", "*/")) or before.startswith("#"):
            break
        first -= 1
    text = lines[first - 1].strip()
    last = first
    while (last < number or is_unfinished(text)) and last < min(len(lines),
                                                                first + MAX_STATEMENT_LINES):
        text = f"{text} {lines[last].strip()}"
        last += 1
    return re.sub(r"\s+", " ", text).rstrip("{").strip()


def source_at(pc: int) -> Source:
    """Where an instruction comes from."""
    functions = functions_at(pc)
    return source_of(functions[0] if functions else f"{pc:#x}", gdb.find_pc_line(pc))


def source_of(function: str, place: gdb.Symtab_and_line) -> Source:
    source = Source(function)
    if place.symtab is not None and place.line:
        source.file = re.sub(r"^(/usr/src/backhop/[^/]*/)?(\.\./src/)?", "",
                             place.symtab.filename)
        source.line = place.line
        source.text = statement_at(lines_of(place.symtab.fullname()), place.line)
    return source


def functions_at(pc: int) -> List[str]:
    """The function that has this code, behind those that are inlined there, innermost first."""
    found: List[str] = []
    try:
        block: Optional[gdb.Block] = gdb.block_for_pc(pc)
    except RuntimeError:
        block = None
    while block is not None and not block.is_global and not block.is_static:
        if block.function is not None and block.function.name:
            found.append(block.function.name)
        block = block.superblock
    return found


class Kernel:
    """The functions of a node's image."""

    _symbols: Dict[str, Symbols] = {}

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = list(nodes)

    def node_at(self, address: int) -> Optional[Node]:
        for node in self.nodes:
            if node.has_address(address):
                return node
        return None

    def symbols(self, node: Node) -> Symbols:
        if node.image not in self._symbols:
            path = node.image + ".debug"
            for objfile in gdb.objfiles():
                if objfile.owner is not None and objfile.owner.filename == node.image:
                    path = objfile.filename or path
            found = Symbols.open(path)
            if not found.functions:
                raise Fault(f"the debug information of {node.name}'s kernel is missing, which "
                            f"`why` reads: {path} should hold it; build the kernel again, or put "
                            "the file that belongs to the image there")
            self._symbols[node.image] = found
        return self._symbols[node.image]

    def function_at(self, pc: int) -> Optional[Tuple[Node, Extent]]:
        node = self.node_at(pc)
        extent = self.symbols(node).at(pc - node.base) if node is not None else None
        return (node, extent) if node is not None and extent is not None else None

    def entry(self, node: Node, name: str) -> Optional[int]:
        extent = self.symbols(node).named(name)
        return node.base + extent.entry if extent is not None else None


class Walker:
    """Walks back through one run. Its moves are undone by why.py."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.kernel = Kernel(nodes)
        self._functions: Dict[Tuple[int, int], flow.Function] = {}

    # --- paths ---

    def _ranges(self, extent: Extent, base: int) -> List[Tuple[int, int]]:
        return [(base + low, base + high) for low, high in extent.ranges]

    def _function(self, ranges: Sequence[Tuple[int, int]]) -> flow.Function:
        if ranges[0] not in self._functions:
            self._functions[ranges[0]] = client.code(ranges)
        return self._functions[ranges[0]]

    def path_of(self, call: Call, until: flow.Place) -> flow.Path:
        """The way through a function on the stack, to where it stands; empty if the beginning of
        the call can't be found (assembly has no frame)."""
        ranges = self._ranges(call.extent, call.base)
        function = self._function(ranges)
        try:
            return client.path(function, ranges, call.entry_sp, (0, 0, 0), until)
        except Fault:
            return flow.Path(function, [], False)

    def path_into(self, step: flow.Step, until: flow.Place) -> Optional[flow.Path]:
        """The way through the function that a step called."""
        found = self.kernel.function_at(step.next)
        if found is None:
            return None
        ranges = self._ranges(found[1], found[0].base)
        return client.path(self._function(ranges), ranges, 0, step.place, until)

    def stack(self) -> List[Call]:
        """The calls of a node's kernel on the stack of the position, newest first."""
        calls: List[Call] = []
        frame: Optional[gdb.Frame] = gdb.newest_frame()
        chain: List[str] = []
        while frame is not None and len(calls) < 64:
            pc = frame.pc()
            chain.append(frame.name() or f"{pc:#x}")
            if frame.type() != gdb.INLINE_FRAME:
                found = self.kernel.function_at(pc - 1)
                if found is not None:
                    calls.append(Call(found[1], found[0].base, pc,
                                      int(frame.read_register("rbp")) + 8, chain,
                                      source_of(chain[-1], frame.find_sal())))
                elif calls:
                    break
                chain = []
            frame = frame.older()
        return calls

    def moment_call(self, moment: Moment) -> Optional[Call]:
        found = self.kernel.function_at(moment.pcs[0])
        if found is None:
            return None
        return Call(found[1], found[0].base, moment.pcs[0], moment.frame + 8,
                    functions_at(moment.pcs[0]), source_at(moment.pcs[0]))

    # --- who wrote it ---

    def command_of(self, task: str) -> str:
        """The command line of the task that has the CPU at the position where gdb is."""
        try:
            memory = gdb.parse_and_eval("bh_current_task->mm")
            if not int(memory):
                return ""
            start, end = int(memory["arg_start"]), int(memory["arg_end"])
            size = min(max(end - start, 0), MAX_COMMAND_BYTES)
            data = gdb.selected_inferior().read_memory(start, size).tobytes() if size else b""
        except (gdb.error, gdb.MemoryError):
            return ""
        words = data.rstrip(b"\0").decode(errors="replace").split("\0")
        return " ".join(words)

    def describe(self, moment: Moment) -> Writer:
        """Goes there: a command line can be read only where its program is."""
        command = ""
        if moment.task and not re.search(r"/(swapper|ksoftirqd|kworker)\S*$", moment.task):
            go_quietly(moment.place)
            frame = moves.node_frame()
            if frame is not None:
                frame.select()
                command = self.command_of(moment.task)
        stack: List[str] = []
        for index, pc in enumerate(moment.pcs):
            if self.kernel.node_at(pc) is not None:
                stack += functions_at(pc - (1 if index else 0))
        return Writer(moment.place, moment.vtime_ns, moment.node, moment.task, command,
                      source_at(moment.pcs[0]), stack)

    def writer(self, address: int, size: int, before: flow.Place) -> Optional[Writer]:
        size = next((item for item in (8, 4, 2, 1) if item <= size and not address % item), 1)
        moment = client.last_write(address, size, before)
        return self.describe(moment) if moment is not None else None

    # --- decisions ---

    def state(self, path: flow.Path, origin: flow.Origin) -> Optional[State]:
        """What a value that came from memory is called. Goes to where it was read."""
        if not isinstance(origin, (flow.Memory, flow.Slot)):
            return None
        step = path.steps[origin.step]
        go_quietly(step.place)
        frame = gdb.newest_frame()
        name = names.name_of(origin.address, origin.size, frame, source_at(step.pc).text)
        return State(name or f"{origin.size} bytes at {origin.address:#x}",
                     self.value_text(origin.value), origin.address, origin.size, step.place)

    def value_text(self, value: int) -> str:
        """A number, or the function or variable that it is the address of."""
        node = self.kernel.node_at(value)
        if node is None:
            return str(value)
        extent = self.kernel.symbols(node).at(value - node.base)
        return extent.name if extent is not None and extent.entry == value - node.base \
            else f"{value:#x}"

    def constant_goal(self, path: flow.Path, origins: Sequence[flow.Origin]) -> Optional[int]:
        """If only constants of this function were compared: the step that chose one."""
        steps = [origin.step for origin in origins if isinstance(origin, flow.Constant)]
        others = [origin for origin in origins if not isinstance(origin, flow.Constant)]
        return max(steps) if steps and not others else None

    def copies(self, path: flow.Path, goal: int) -> List[int]:
        """The calls that come from the same line as the one at a step."""
        pc = path.steps[goal].pc
        if path.instruction(goal).kind != "call" or len(functions_at(pc)) != 1:
            return []
        line = gdb.find_pc_line(pc).line
        return [other for other, instruction in path.function.code.items()
                if instruction.kind == "call" and gdb.find_pc_line(other).line == line and
                len(functions_at(other)) == 1]

    def decider(self, path: flow.Path, goal: int) -> Optional[int]:
        branch = path.decider(goal, self.copies(path, goal))
        while branch is not None and DULL.match(source_at(path.steps[branch].pc).function):
            branch = path.decider(branch)
        return branch

    def terms(self, path: flow.Path, branch: int) -> List[int]:
        """The branches of the inline function that a branch belongs to and that led to it, the
        first one first: together they are the condition that it computes."""
        found = [branch]
        chain = functions_at(path.steps[branch].pc)
        while len(chain) > 1 and len(found) < MAX_TERMS:
            before = path.decider(found[0])
            if before is None or functions_at(path.steps[before].pc) != chain:
                break
            found.insert(0, before)
        return found

    def decide(self, path: flow.Path, goal: int, callers: Sequence[Call],
               until: flow.Place, depth: int = 0) -> List[Decision]:
        """The conditions that led to a step, those of functions whose results counted too; the
        outermost first."""
        last = self.decider(path, goal) if depth <= MAX_DESCENT else None
        if last is None:
            return []
        found: List[Decision] = []
        for branch in self.terms(path, last):
            origins = path.condition(branch)
            step = path.steps[branch]
            decision = Decision(source_at(step.pc), step.place)
            found.append(decision)
            chosen = self.constant_goal(path, origins)
            if chosen is not None:
                found += self.decide(path, chosen, callers, until, depth + 1)
            else:
                found += self.follow(path, origins, decision, callers, until, depth)
        return found

    def follow(self, path: flow.Path, origins: Sequence[flow.Origin], decision: Decision,
               callers: Sequence[Call], until: flow.Place, depth: int,
               is_value: bool = False) -> List[Decision]:
        """Names what was compared; goes on where it was only passed along. is_value: it wasn't
        compared but kept, so what else it might have become counts, too."""
        found: List[Decision] = []
        for origin in origins:
            if isinstance(origin, flow.Result):
                found += self.result(path, origin, decision, callers, until, depth)
            elif isinstance(origin, flow.Argument) and callers:
                outer = self.path_of(callers[0], until)
                if outer.steps:
                    given = outer.origins(origin.register, len(outer.steps) - 1)
                    found += self.follow(outer, given, decision, callers[1:], until, depth + 1,
                                         is_value)
            else:
                state = self.state(path, origin)
                if state is None:
                    continue
                if is_value and len(functions_at(path.steps[state_step(origin)].pc)) > 1:
                    step = path.steps[state_step(origin)]
                    found += self.choices(path, origin, len(path.steps) - 1) or \
                        [Decision(source_at(step.pc), step.place, what="it was read here")]
                is_passed = self.is_on_stack(path, state.address)
                if not is_passed or not state.name[0].isdigit():
                    decision.states.append(state)
                if is_passed and depth < MAX_DESCENT:
                    found += self.walk_writer(state, path.steps[state_step(origin)].place,
                                              depth + 1)
        return found

    def is_on_stack(self, path: flow.Path, address: int) -> bool:
        """Is it some function's variable? They live shortly and are no state of the kernel's."""
        return 0 <= address - path.entry_sp + STACK_BYTES < 2 * STACK_BYTES

    def result(self, path: flow.Path, origin: flow.Result, decision: Decision,
               callers: Sequence[Call], until: flow.Place, depth: int) -> List[Decision]:
        """Why a function returned what it did."""
        step = path.steps[origin.step]
        names_there = functions_at(step.next)
        name = names_there[-1] if names_there else f"{step.next:#x}"
        value = origin.value & 0xffffffff
        if value >= 1 << 31:
            value -= 1 << 32
        if origin.value >> 32 not in (0, 0xffffffff):
            value = origin.value
        decision.callees.append(name)
        decision.states.append(State(f"{name}()", error_text(value), place=step.place))
        if OPAQUE.match(name) or depth > MAX_DESCENT:
            return []
        inner = self.path_into(step, until)
        end = flow.returned(inner) if inner is not None else None
        if inner is None or end is None:
            return []
        return self.returned(inner, end, callers, until, depth + 1)

    def returned(self, path: flow.Path, end: int, callers: Sequence[Call], until: flow.Place,
                 depth: int) -> List[Decision]:
        found: List[Decision] = []
        for origin in path.origins(flow.RAX, end):
            if isinstance(origin, flow.Constant):
                found += self.decide(path, origin.step, callers, until, depth)
                continue
            step = path.steps[state_step(origin)]
            decision = Decision(source_at(step.pc), step.place, what="it returned what this gave")
            found.append(decision)
            found += self.choices(path, origin, end)
            found += self.follow(path, [origin], decision, callers, until, depth)
        return found

    def outcome(self, call: Call, moment: Moment, until: flow.Place) -> List[Decision]:
        """Why a call that began at a moment returned what it did."""
        ranges = self._ranges(call.extent, call.base)
        path = client.path(self._function(ranges), ranges, 0, moment.place, until)
        end = flow.returned(path)
        return self.returned(path, end, [], until, 0) if end is not None else []

    def choices(self, path: flow.Path, origin: flow.Origin, end: int) -> List[Decision]:
        """The conditions that left a value as it was, where it might have been given another: those
        that the same function came by between reading and using it."""
        start = state_step(origin)
        if not isinstance(origin, (flow.Memory, flow.Slot)):
            return []
        chain = functions_at(path.steps[start].pc)
        found: List[Decision] = []
        # The compiler may have moved the reading behind them.
        for index in range(max(0, start - MAX_MOVED), end):
            if path.instruction(index).kind != "branch" or len(found) >= MAX_TERMS or \
                    functions_at(path.steps[index].pc) != chain:
                continue
            decision = Decision(source_at(path.steps[index].pc), path.steps[index].place,
                                what="this left it so")
            for compared in path.condition(index):
                state = self.state(path, compared)
                if state is not None:
                    decision.states.append(state)
            found.append(decision)
        return found

    def pointer(self, call: Call, until: flow.Place) -> Optional[State]:
        """If a function was called through a pointer in memory that the kernel sets at run time:
        that pointer."""
        path = self.path_of(call, until)
        if not path.steps or path.instruction(len(path.steps) - 1).target is not None:
            return None
        for origin in path.call_target(len(path.steps) - 1):
            if not isinstance(origin, flow.Memory) or self.kernel.node_at(origin.address):
                continue
            return self.state(path, origin)
        return None

    def walk(self, calls: Sequence[Call], until: flow.Place) -> List[Decision]:
        """From the newest call outwards to the first condition, or to the pointer through which
        it was called."""
        for index, call in enumerate(calls[:MAX_CALLERS]):
            path = self.path_of(call, until)
            if not path.steps:
                continue
            found = self.decide(path, len(path.steps) - 1, calls[index + 1:], until)
            if found:
                return found
            state = self.pointer(calls[index + 1], until) if index + 1 < len(calls) else None
            if state is None:
                continue
            decision = Decision(source_at(calls[index + 1].pc - 1), until, [state],
                                what=f"it called {call.chain[-1]} through a pointer")
            return [decision, *self.walk_writer(state, until)]
        return []

    def walk_writer(self, state: State, until: flow.Place, depth: int = 0) -> List[Decision]:
        """Why a place in memory was given the value that it has."""
        moment = client.last_write(state.address, state.size, until)
        if moment is None:
            return []
        call = self.moment_call(moment)
        if call is None:
            return []
        behind = (moment.place[0], moment.place[1], moment.place[2] + 1)
        path = self.path_of(call, behind)
        if not path.steps:
            return []
        last = len(path.steps) - 1
        origins = path.stored(last)
        go_quietly(moment.place)
        callers = self.stack()[1:]
        if not origins or all(isinstance(origin, flow.Constant) for origin in origins):
            return self.decide(path, self.constant_goal(path, origins) or last, callers, behind,
                               depth)
        decision = Decision(source_at(path.steps[last].pc), moment.place,
                            what=f"it set {state.name}")
        return [decision, *self.follow(path, origins, decision, callers, behind, depth, True)]


def find_sites(decision: Decision) -> None:
    """Where the inline functions that a condition is in are called. Goes there."""
    go_quietly(decision.place)
    frame: Optional[gdb.Frame] = gdb.newest_frame()
    while frame is not None and frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
        if frame is not None:
            decision.sites.append(source_of(frame.name() or "?", frame.find_sal()))


def state_step(origin: flow.Origin) -> int:
    return getattr(origin, "step", 0)


ERRORS = {1: "EPERM", 2: "ENOENT", 11: "EAGAIN", 12: "ENOMEM", 13: "EACCES", 17: "EEXIST",
          18: "EXDEV", 22: "EINVAL", 36: "ENAMETOOLONG", 71: "EPROTO", 90: "EMSGSIZE",
          101: "ENETUNREACH", 105: "ENOBUFS", 110: "ETIMEDOUT", 111: "ECONNREFUSED",
          113: "EHOSTUNREACH"}


def error_text(value: int) -> str:
    return f"-{ERRORS[-value]}" if -value in ERRORS else str(value)
