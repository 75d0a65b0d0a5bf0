# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that goes on under gdb itself (`gdb --args backhop run ...`, or attached), or its core.

The program tells gdb by itself which images lie where (common/link_maps.h), so symbols, breakpoints
and backtraces are gdb's own. Here is what the server of a replay would answer otherwise: which
nodes there are, what has the CPU, which tasks wait and where. All of it is read from the program's
memory, nothing is ever written.

To gdb such a run is one thread. A task that waits is looked at by an unwinder that says, of the
innermost frame, that it was called from where the task waits: registers and memory stay as they
are, and the next resume ends it.
"""

import struct
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

import gdb
from gdb.unwinder import Unwinder, register_unwinder

from backhop import sources
from backhop.model import Fault, Node, Position, Task

# Lists in a node's memory may be in the middle of a change: no longer than this.
MAX_TASKS = 65536
# At a saved stack pointer, upwards, as host_abi.h says of struct bh_task_layout.
SAVED_REGISTERS = ("r15", "r14", "r13", "r12", "rbx", "rbp", "rip")
COMM_BYTES = 16
# What the program does with signals itself: calls of its programs, faults that it looks after.
SIGNALS = "SIGSYS SIGSEGV SIGALRM"


def is_kernel(objfile: gdb.Objfile) -> bool:
    return (objfile.filename or "").endswith("/image.debug")


def list_head() -> Optional[gdb.Value]:
    """The program's list of images; None if it is not one of ours."""
    symbol = gdb.lookup_global_symbol("bh_link_maps")
    return symbol.value() if symbol is not None else None


# By the number of a remote connection: is a replay's server there, or gdbserver, or rr?
replays: Dict[int, bool] = {}


def is_replay(connection: Optional[gdb.TargetConnection]) -> bool:
    if not isinstance(connection, gdb.RemoteTargetConnection):
        return False
    if connection.num not in replays:
        # Who doesn't know a packet answers with an empty one.
        replays[connection.num] = bool(connection.send_packet("qBackhop:position"))
    return replays[connection.num]


def is_live() -> bool:
    """Is what gdb looks at a run, and no replay?"""
    inferior = gdb.selected_inferior()
    if inferior.pid == 0 or is_replay(inferior.connection):
        return False
    return list_head() is not None


def kernels() -> Iterator[gdb.Value]:
    """The struct bh_link_map of each node's kernel, in the order of the nodes."""
    head = list_head()
    if head is None:
        return
    pointer = gdb.lookup_type("struct bh_link_map").pointer()
    link = head["map"]["l_next"]
    while link:
        entry = link.cast(pointer).dereference()
        if entry["boot"]:
            yield entry
        link = entry["map"]["l_next"]


def gate() -> gdb.Value:
    symbol = gdb.lookup_global_symbol("bh_gate")
    if symbol is None:
        raise Fault("the program has no symbols; build it without stripping it")
    return symbol.value()


def running_node() -> Optional[int]:
    """The node that has the CPU; None: the simulator."""
    number = int(gate()["node"])
    return number if number < 1 << 31 else None


def position() -> Position:
    now = gate()
    node = running_node()
    name = next((item.name for item in nodes() if item.number == node), None)
    return Position(int(now["event"]), 0, 0, int(now["vtime_ns"]), node, name, 0, None)


# --- tasks ---

def read(address: int, length: int) -> bytes:
    return bytes(gdb.selected_inferior().read_memory(address, length))


def read_u64(address: int) -> int:
    return int(struct.unpack("<Q", read(address, 8))[0])


@dataclass(frozen=True)
class Kernel:
    """What is needed to walk through a kernel's tasks."""
    node: int
    base: int
    saved_stack: int
    layout: Dict[str, int]

    @staticmethod
    def of(entry: gdb.Value) -> Optional["Kernel"]:
        boot = entry["boot"].cast(gdb.lookup_type("struct bh_boot").pointer())
        layout = boot["image_ops"]["task_layout"]
        if not layout:  # it has not started yet
            return None
        values = layout.dereference()
        return Kernel(int(entry["node"]), int(entry["base"]), int(entry["saved_stack"]),
                      {str(field.name): int(values[field]) for field in values.type.fields()})

    def task(self, address: int) -> Tuple[Task, int, int]:
        """A task, and where the next of its list of processes and of its threads is."""
        layout = self.layout
        length = max(value for name, value in layout.items()
                     if name not in ("current_task", "init_task")) + COMM_BYTES
        data = read(address, length)

        def u64(name: str) -> int:
            return int(struct.unpack_from("<Q", data, layout[name])[0])

        comm = data[layout["comm"]:layout["comm"] + COMM_BYTES].split(b"\0")[0]
        pid, = struct.unpack_from("<i", data, layout["pid"])
        state, = struct.unpack_from("<I", data, layout["state"])
        found = Task(address, pid, comm.decode(errors="replace"), state, bool(u64("mm")))
        return found, u64("tasks"), u64("signal")

    def threads(self, leader: Task, signal: int) -> Iterator[Task]:
        """The other threads of a process."""
        head = signal + self.layout["signal_thread_head"]
        link = read_u64(head)
        for _ in range(MAX_TASKS):
            if link == head:
                return
            address = link - self.layout["thread_node"]
            if address != leader.address:
                yield self.task(address)[0]
            link = read_u64(link)

    def tasks(self) -> Iterator[Task]:
        first, link, _ = self.task(self.layout["init_task"])
        yield first
        head = first.address + self.layout["tasks"]
        for _ in range(MAX_TASKS):
            if link == head:
                return
            leader, link, signal = self.task(link - self.layout["tasks"])
            yield leader
            yield from self.threads(leader, signal)

    def registers(self, task: Task) -> Dict[str, int]:
        """Of a task without the CPU: what its switch saved."""
        if read_u64(self.layout["current_task"]) == task.address:
            sp = read_u64(self.saved_stack)  # it idles in the host
        else:
            sp = read_u64(task.address + self.layout["thread_sp"])
        words = struct.unpack("<7Q", read(sp, 56))
        return {**dict(zip(SAVED_REGISTERS, words)), "rsp": sp + 56}


def kernel_of(number: int) -> Kernel:
    for entry in kernels():
        if int(entry["node"]) == number:
            kernel = Kernel.of(entry)
            if kernel is not None:
                return kernel
    raise Fault("its kernel hasn't started yet")


def tasks(number: int) -> List[Task]:
    """Those of a node, as far as its lists can be read."""
    found: List[Task] = []
    seen = set()
    try:
        for task in kernel_of(number).tasks():
            if task.pid not in seen:
                seen.add(task.pid)
                found.append(task)
    except (gdb.MemoryError, Fault):
        pass
    return found


def nodes() -> List[Node]:
    running = running_node()
    found = []
    pointer = gdb.lookup_type("struct bh_boot").pointer()
    for entry in kernels():
        number = int(entry["node"])
        found.append(Node(
            number, entry["boot"].cast(pointer)["hostname"].string(), entry["image"].string(),
            int(entry["base"]), int(entry["size"]), len(tasks(number)), number == running))
    return found


def names() -> List[str]:
    pointer = gdb.lookup_type("struct bh_boot").pointer()
    return [entry["boot"].cast(pointer)["hostname"].string() for entry in kernels()]


def has_cpu(node: Node, task: Task) -> bool:
    if not node.is_running:
        return False
    return read_u64(kernel_of(node.number).layout["current_task"]) == task.address


def program_name() -> str:
    """Of the task that has the CPU."""
    number = running_node()
    if number is None:
        return ""
    kernel = kernel_of(number)
    return kernel.task(read_u64(kernel.layout["current_task"]))[0].comm


# --- looking at a task that waits ---

class FrameId:
    """As gdb's unwinders want it."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp = sp
        self.pc = pc


class TaskView(Unwinder):
    """Says of the innermost frame that it was called from where the chosen task waits."""

    def __init__(self) -> None:
        super().__init__("backhop")
        self.node: Optional[int] = None
        self.registers: Dict[str, int] = {}

    def __call__(self, pending: Any) -> Any:
        if self.node is None or pending.level() != 0:
            return None
        pc = pending.read_register("rip")
        # The lowest of all stacks, so that gdb takes the task's for one that lies behind it.
        info = pending.create_unwind_info(FrameId(gdb.Value(0).cast(pc.type), pc))
        for name, value in self.registers.items():
            register = pending.read_register(name)
            info.add_saved_register(name, gdb.Value(value).cast(register.type))
        return info

    def show(self, node: int, registers: Dict[str, int]) -> None:
        self.node = node
        self.registers = registers
        gdb.invalidate_cached_frames()

    def state(self) -> Tuple[Optional[int], Dict[str, int]]:
        return self.node, self.registers

    def restore(self, state: Tuple[Optional[int], Dict[str, int]]) -> None:
        if state == self.state():
            return
        self.node, self.registers = state
        gdb.invalidate_cached_frames()
        if self.node is not None:
            first_frame().select()

    def leave(self, _event: Any = None) -> None:
        if self.node is None:
            return
        self.node = None
        gdb.invalidate_cached_frames()


view = TaskView()


HOOKED = ("step", "next", "stepi", "nexti", "until", "advance")
defined_hooks: Set[str] = set()


def define_hooks() -> None:
    """These commands end the look at a task that waits."""
    for command in HOOKED:
        if command not in defined_hooks:
            gdb.execute(f"define hook-{command}\nbackhop leave\nend", to_string=True)
            defined_hooks.add(command)


def select(node: Node, task: Task) -> None:
    """Makes backtraces, variables and registers those of the task."""
    if has_cpu(node, task):
        view.leave()
        gdb.newest_frame().select()
        return
    define_hooks()
    view.show(node.number, kernel_of(node.number).registers(task))
    older = gdb.newest_frame().older()
    if older is None:
        raise Fault(f"the stack of {node.name}/{task.comm}-{task.pid} can't be read now")
    older.select()


def selected_node() -> Optional[int]:
    return view.node if view.node is not None else running_node()


def first_frame() -> gdb.Frame:
    """The innermost one of what is looked at."""
    frame = gdb.newest_frame()
    if view.node is not None:
        older = frame.older()
        if older is not None:
            return older
    return frame


class LeaveView(gdb.Command):
    """Ends the look at a task that waits; gdb does it by itself before it steps."""

    def __init__(self) -> None:
        super().__init__("backhop leave", gdb.COMMAND_OBSCURE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        view.leave()


kernel_paths: Set[str] = set()


def find_sources(image: str) -> None:
    if image in kernel_paths:
        return
    kernel_paths.add(image)
    for before, after in sources.substitutions(kernel_paths):
        gdb.execute(f"set substitute-path {before} {after}", to_string=True)


# A replay is being connected to: its program is set up for by plugin.py, without its symbols, the
# reading of which would take longer than all else that connecting does.
is_connecting = False


def set_up(objfile: gdb.Objfile) -> None:
    """How gdb is to deal with a run, as soon as it knows the program."""
    if is_kernel(objfile) and objfile.filename:
        find_sources(objfile.filename[:-len(".debug")])
        return
    if is_connecting or objfile.lookup_global_symbol("bh_link_maps") is None:
        return
    gdb.execute(f"handle {SIGNALS} nostop noprint pass", to_string=True)
    # Kernels and programs come when the run begins.
    gdb.execute("set breakpoint pending on", to_string=True)


def give_up() -> None:
    """gdb turns to a replay, which knows by itself what raises signals and is none."""
    gdb.execute("set breakpoint pending auto", to_string=True)


def register() -> None:
    LeaveView()
    register_unwinder(None, view, replace=True)
    gdb.events.cont.connect(view.leave)
    gdb.events.exited.connect(view.leave)
    gdb.events.new_objfile.connect(lambda event: set_up(event.new_objfile))
    for objfile in gdb.objfiles():
        set_up(objfile)
