# SPDX-License-Identifier: GPL-2.0-or-later
"""lx-dmesg, lx-ps, lx-version, lx-cmdline, lx-mounts, lx-lsmod, $lx_current(), $lx_task_by_pid():
what the kernel's own scripts/gdb has, for the selected node.

Those scripts belong to one kernel in the whole of gdb and to processors with per-CPU areas; here
there are as many kernels as nodes, possibly of several versions. So these are ours, under the same
names, and follow the types that the node's own image has.
`node apply all lx-ps` runs one on each node.
"""

from typing import Iterator, List

import gdb

from backhop import images
from backhop.base import Command
from backhop.model import Fault

# Longer lists are taken for damaged ones.
MAX_ENTRIES = 65536
PATH_PARTS_MAX = 256


def entries(head: gdb.Value, kind: gdb.Type, member: str) -> Iterator[gdb.Value]:
    """The structures that hang in a list_head."""
    offset = next(field.bitpos for field in kind.fields() if field.name == member) // 8
    start, link = int(head.address or 0), head["next"]
    for _ in range(MAX_ENTRIES):
        if int(link) == start:
            return
        entry = gdb.Value(int(link) - offset).cast(kind.pointer()).dereference()
        yield entry
        link = entry[member]["next"]
    raise Fault("a list of the kernel has no end here; step on a little and try again")


def tasks() -> Iterator[gdb.Value]:
    """Every thread of the selected node."""
    kind = images.kernel_type("task_struct", "release_task")
    address = images.kernel_value("init_task").address
    init = gdb.Value(int(address or 0)).cast(kind.pointer()).dereference()
    yield init
    for leader in entries(init["tasks"], kind, "tasks"):
        yield from entries(leader["signal"]["thread_head"], kind, "thread_node")


def in_words(state: int) -> str:
    # TASK_* of include/linux/sched.h, 6.1 and 6.12: macros, which no debug information has.
    names = ((0x400, "I"), (1, "S"), (2, "D"), (4, "T"), (8, "t"))
    return next((name for bit, name in names if state & bit), "R" if state == 0 else "-")


class LxPs(Command):
    """List the tasks of the selected node: task_struct, process id, thread group, state, name.

The node's kernel is asked, as it is at this moment."""

    def __init__(self) -> None:
        super().__init__("lx-ps", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        print(f"{'TASK':<15} {'PID':>5} {'TGID':>5} S COMM")
        for task in tasks():
            print(f"{int(task.address or 0):#15x} {int(task['pid']):>5} {int(task['tgid']):>5} "
                  f"{in_words(int(task['__state']))} {task['comm'].string(errors='replace')}")


class Records:
    """The records of a printk ring buffer (kernel/printk/printk_ringbuffer.h)."""

    def __init__(self, ring: gdb.Value) -> None:
        descriptors = ring["desc_ring"]
        self.descriptors, self.infos = descriptors["descs"], descriptors["infos"]
        self.count = 1 << int(descriptors["count_bits"])
        self.first = int(descriptors["tail_id"]["counter"]) & (1 << 64) - 1
        self.last = int(descriptors["head_id"]["counter"]) & (1 << 64) - 1
        self.data = int(ring["text_data_ring"]["data"])
        self.size = 1 << int(ring["text_data_ring"]["size_bits"])

    def text(self, number: int) -> bytes:
        place = self.descriptors[number % self.count]["text_blk_lpos"]
        begin, end = int(place["begin"]), int(place["next"])
        if begin & 1:  # it has no text
            return b""
        begin, end = begin % self.size, end % self.size
        if end < begin:  # it didn't fit at the end, so it is at the start
            begin = 0
        length = int(self.infos[number % self.count]["text_len"])
        begin += 8  # the record's number comes first
        data = gdb.selected_inferior().read_memory(self.data + begin, min(length, end - begin))
        return bytes(data)

    def lines(self) -> Iterator[str]:
        number = self.first
        for _ in range(self.count):
            info = self.infos[number % self.count]
            stamp = int(info["ts_nsec"])
            head = f"[{stamp // 1_000_000_000:>5}.{stamp % 1_000_000_000 // 1000:06}] "
            if int(info["text_len"]):
                for line in self.text(number).decode(errors="replace").splitlines():
                    yield head + line
            if number == self.last:
                return
            number = (number + 1) & (1 << 64) - 1 >> 2


class LxDmesg(Command):
    """Print the kernel log of the selected node, as it is at this moment."""

    def __init__(self) -> None:
        super().__init__("lx-dmesg", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        for line in Records(images.kernel_value("prb").dereference()).lines():
            print(line)


class LxVersion(Command):
    """Print the version of the selected node's kernel."""

    def __init__(self) -> None:
        super().__init__("lx-version", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        banner = images.kernel_value("linux_banner")
        text = gdb.Value(int(banner.address or 0)).cast(banner.type.target().pointer())
        print(text.string().rstrip("\n"))


class LxCmdline(Command):
    """Print the command line of the selected node's kernel."""

    def __init__(self) -> None:
        super().__init__("lx-cmdline", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        print(images.kernel_value("saved_command_line").string())


class LxLsmod(Command):
    """List the modules of the selected node's kernel: it has none, all is built in."""

    def __init__(self) -> None:
        super().__init__("lx-lsmod", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        images.kernel_value("init_task")
        print("The kernels of nodes have no modules: all that is configured is built in.")


def path_of(mount: gdb.Value) -> str:
    """Where a struct mount is, in its namespace."""
    parts: List[str] = []
    for _ in range(PATH_PARTS_MAX):
        parent = mount["mnt_parent"]
        if int(parent) == int(mount.address or 0):
            break
        entry = mount["mnt_mountpoint"].dereference()
        for _ in range(PATH_PARTS_MAX):
            if int(entry["d_parent"]) == int(entry.address or 0):
                break
            parts.append(entry["d_name"]["name"].string(errors="replace"))
            entry = entry["d_parent"].dereference()
        mount = parent.dereference()
    return "/" + "/".join(reversed(parts))


def mounts() -> Iterator[gdb.Value]:
    """Of the first process, as /proc/mounts has it: a mount and those below it."""
    init = next((task for task in tasks() if int(task["pid"]) == 1), None)
    if init is None:
        raise Fault("the node has no process 1 now, and so no mounts")
    proxy = images.kernel_type("nsproxy", "copy_mnt_ns").pointer()
    root = init["nsproxy"].cast(proxy)["mnt_ns"]["root"].dereference()
    waiting = [root]
    for _ in range(MAX_ENTRIES):
        if not waiting:
            return
        mount = waiting.pop(0)
        yield mount
        waiting = list(entries(mount["mnt_mounts"], root.type.strip_typedefs(),
                               "mnt_child")) + waiting


class LxMounts(Command):
    """List the mounts of the selected node's first process: struct mount, device, folder, type."""

    def __init__(self) -> None:
        super().__init__("lx-mounts", gdb.COMMAND_DATA)

    def run(self, argument: str) -> None:
        for mount in mounts():
            kind = mount["mnt"]["mnt_sb"]["s_type"]["name"].string()
            name = mount["mnt_devname"].string() if mount["mnt_devname"] else "none"
            print(f"{int(mount.address or 0):#x} {name} {path_of(mount)} {kind}")


class LxCurrent(gdb.Function):
    """The task_struct that the selected node runs, or ran last: $lx_current()."""

    def __init__(self) -> None:
        super().__init__("lx_current")

    def invoke(self) -> gdb.Value:
        try:
            return images.current_task()
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None


class LxTaskByPid(gdb.Function):
    """The task_struct of a process id on the selected node: $lx_task_by_pid(PID)."""

    def __init__(self) -> None:
        super().__init__("lx_task_by_pid")

    def invoke(self, pid: gdb.Value) -> gdb.Value:
        try:
            for task in tasks():
                if int(task["pid"]) == int(pid):
                    return task
        except Fault as fault:
            raise gdb.GdbError(str(fault)) from None
        raise gdb.GdbError(f"the node has no task {int(pid)} now; `lx-ps` lists them")


def register() -> None:
    for command in (LxPs, LxDmesg, LxVersion, LxCmdline, LxLsmod, LxMounts):
        command()
    LxCurrent()
    LxTaskByPid()
