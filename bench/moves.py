# SPDX-License-Identifier: GPL-2.0-or-later
"""Moving through a long replay, for bench/run: what a client of the server waits for. Speaks the
remote protocol itself (tests/gdb/rsp.py), so that gdb's own time isn't in the figures."""

import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/gdb"))

from rsp import Server, timed  # noqa: E402

Report = Callable[..., None]
FIRST_GOTOS = 13
GOTOS = 40
IDLE_MAX_S = 120
RUNS = 5
PAIRS = 7
# Where a hundredth is to be seen.
FINE_PAIRS = 15
STEPS = 200
# Of the NOP at a function's entry.
ENTRY_BYTES = 5
# if $vtime == 1: see docs/remote-protocol.md for the register's number.
FALSE_CONDITION = "X7,26003e22011327"
# if $cs == 1: which only the server can tell.
ASKED_CONDITION = "X7,26001222011327"


class Long:
    """A long replay that was passed once, and the addresses of kernel functions in it."""

    def __init__(self, trace: Path, backhop: Path, *options: str) -> None:
        self.server = Server(str(trace), str(backhop), *options)
        self.last: int = self.server.private("qBackhop:run")["events"]
        nodes = self.server.private("qBackhop:nodes")
        self.base: Dict[str, int] = {node["node_name"]: node["base"] for node in nodes}
        names = subprocess.run(["nm", nodes[0]["image"] + ".debug"], capture_output=True, text=True,
                               check=True).stdout
        self.offset: Dict[str, int] = {}
        for line in names.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tT":
                self.offset.setdefault(words[2], int(words[0], 16))
        self.program: List[int] = []  # see find_program()
        self.to_end_s = timed(self.server.goto, "end")[0]

    def addresses(self, node: str, function: str) -> List[int]:
        return self.program if node == "program" else [self.address(node, function)]

    def address(self, node: str, function: str) -> int:
        return self.base[node] + self.offset[function]

    def seconds(self, packet: str, expected: str) -> float:
        time_s, stop = timed(self.server.resume, packet)
        if expected not in stop:
            raise RuntimeError(f"{packet} stopped with {stop[:60]}, not {expected}")
        return float(time_s)

    def plant(self, node: str, function: str, condition: str = "", offset: int = 0) -> None:
        for address in self.addresses(node, function):
            self.server.ask(f"Z0,{address + offset:x},1;{condition}")

    def find_program(self, path: Path, function: str, event: int) -> None:
        """Where the last node's program, which runs in this event, has called a function."""
        code = subprocess.run(["objdump", "-d", str(path)], capture_output=True, text=True,
                              check=True).stdout
        places = re.findall(rf"<{function}@plt>\n +([0-9a-f]+):", code)
        self.server.goto(str(event))
        images = self.server.ask("qXfer:libraries-svr4:read::0,100000")
        bases = re.findall(rf'name="{path}"[^>]*l_addr="0x([0-9a-f]+)"', images)
        if not places or not bases:
            raise RuntimeError(f"{path} or its {function}() was not found in event {event}")
        last = max(int(base, 16) for base in bases)
        self.program = [last + int(place, 16) for place in places]

    def lift(self, node: str, function: str, offset: int = 0) -> None:
        for address in self.addresses(node, function):
            self.server.ask(f"z0,{address + offset:x},1")


def goto(long: Long, report: Report) -> None:
    choose = random.Random(1)
    times = [timed(long.server.goto, str(choose.randrange(1, long.last)))[0] for _ in range(GOTOS)]
    baseline = ("the first move, to the end", long.to_end_s)
    report(f"goto-any-of-{long.last}-events", statistics.median(times), "s", GOTOS, baseline)
    report(f"goto-any-of-{long.last}-events-max", max(times), "s", GOTOS, baseline)


def first_goto(trace: Path, backhop: Path, report: Report, snapshots: str) -> None:
    """The first goto of a session, at once, to places all over the run: from the recorder's
    snapshots; and without them, which is the first pass through what lies before."""
    choose = random.Random(2)
    times = []
    for place in range(FIRST_GOTOS + 2):
        with Server(str(trace), str(backhop)) as server:
            last = int(server.private("qBackhop:run")["events"])
            event = {0: last - 1, 1: last * 9 // 10}.get(place, choose.randrange(1, last))
            times.append(timed(server.goto, str(event))[0])
    with Server(str(trace), str(backhop), BACKHOP_CACHE=str(trace.parent / "no-cache")) as server:
        baseline = ("into the last tenth without snapshots",
                    timed(server.goto, str(last * 9 // 10))[0])
    name = f"first-goto-of-{last}-events-snapshots-{snapshots}"
    report(name, statistics.median(times), "s", len(times), baseline)
    report(f"{name}-max", max(times), "s", len(times), baseline)
    with Server(str(trace), str(backhop)) as server:
        idle_s = wait_until_idle(trace)
        report(f"{name}-after-thinking",
               timed(server.goto, str(last * 9 // 10))[0], "s", 1, ("thinking", idle_s))


def cpu_ticks(trace: Path) -> int:
    """CPU time of the server and all that it traces, which have its command line."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(trace).encode() not in (folder / "cmdline").read_bytes().split(b"\0"):
                continue
            words = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(words[11]) + int(words[12])
    return ticks


def wait_until_idle(trace: Path) -> float:
    """Seconds until these have stopped computing."""
    start = time.monotonic()
    former, quiet = -1, 0
    while quiet < 5 and time.monotonic() - start < IDLE_MAX_S:
        time.sleep(0.2)
        now = cpu_ticks(trace)
        quiet = quiet + 1 if now == former and time.monotonic() - start > 1 else 0
        former = now
    return time.monotonic() - start


def false_hits(long: Long, report: Report) -> None:
    """reverse-continue over a stretch, against how many hits with a false condition lie in it."""
    nodes = [node for node in long.base if node != "n0"]
    long.server.goto("start")
    long.plant("n1", "icmp_rcv")
    long.seconds("vCont;c", "swbreak")
    for count in (0, 1, 4, len(nodes)):
        for node in nodes[:count]:
            long.plant(node, "ip_rcv", FALSE_CONDITION)
        long.seconds("vCont;c", "swbreak")
        report(f"back-over-false-hits-on-{count}-nodes", long.seconds("bc", "swbreak"), "s", 1)
        for node in nodes[:count]:
            long.lift(node, "ip_rcv")
    long.lift("n1", "icmp_rcv")


def distance(long: Long, report: Report) -> None:
    """Back by so many events and one instruction, from places all over the run."""
    far = 1
    while far < long.last // 2:
        times = []
        for place in range(1, RUNS + 1):
            start = long.last - (long.last // 2 - 1) * place // (RUNS + 1)
            long.server.goto(str(start))
            back_s = timed(long.server.goto, str(start - far))[0]
            times.append(back_s + timed(long.server.resume, "bs")[0])
        report(f"back-{far}-events-and-a-step", 1000 * statistics.median(times), "ms", RUNS)
        far *= 10


class Stretch:
    """From one ping to the other, with the flow between them, and back: both stop in n1's
    icmp_rcv, which nothing else enters. What is compared is measured side by side, in turns, so
    that a machine that gets slower or faster meanwhile does so for both."""

    def __init__(self, long: Long, program: Path) -> None:
        self.long = long
        long.server.goto("start")
        long.plant("n1", "icmp_rcv")
        self.first = long.server.resume("vCont;c")[:60]
        self.start = long.server.position()[0]
        long.find_program(program, "recv", long.last // 2)
        self.begin()
        self.forward()
        self.events = long.server.position()[0] - self.start
        self.begin()

    def begin(self) -> None:
        self.long.server.goto(str(self.start))
        if self.long.server.resume("vCont;c")[:60] != self.first:
            raise RuntimeError("the first ping was not met again")

    def forward(self) -> float:
        return self.long.seconds("vCont;c", "swbreak")

    def back(self) -> float:
        return self.long.seconds("bc", "swbreak")

    def back_and_forth(self) -> List[Tuple[float, float]]:
        """The time of each way back, and that of the way there before and after it."""
        there, back = [self.forward()], []
        for _ in range(PAIRS):
            back.append(self.back())
            there.append(self.forward())
        self.begin()
        return [(time_s, (before + after) / 2)
                for time_s, before, after in zip(back, there, there[1:])]

    def with_and_without(self, plant: Callable[[], None], lift: Callable[[], None],
                         move: Callable[[], float], turns: int) -> List[Tuple[float, float]]:
        pairs = []
        for turn in range(turns):
            times = {}
            for is_planted in (turn % 2 == 0, turn % 2 != 0):
                if is_planted:
                    plant()
                times[is_planted] = move()
                if is_planted:
                    lift()
                self.begin()
            pairs.append((times[True], times[False]))
        return pairs

    def way_back(self) -> float:
        self.forward()
        return self.back()


def stretch(long: Long, datagrams: int, program: Path, report: Report) -> None:
    way = Stretch(long, program)

    def ratio(name: str, pairs: List[Tuple[float, float]]) -> None:
        forward_s = statistics.median(pair[1] for pair in pairs)
        report(f"{name}-over-{way.events}-events", statistics.median(pair[0] for pair in pairs),
               "s", len(pairs), ("continue over the same events", forward_s),
               statistics.median(pair[0] / pair[1] for pair in pairs))

    def planted(nodes: List[str], function: str, condition: str, offset: int,
                move: Callable[[], float], turns: int = PAIRS) -> List[Tuple[float, float]]:
        def plant() -> None:
            for node in nodes:
                long.plant(node, function, condition, offset)

        def lift() -> None:
            for node in nodes:
                long.lift(node, function, offset)
        return way.with_and_without(plant, lift, move, turns)

    ratio("reverse-continue", way.back_and_forth())
    # n0 forwards nothing; the others do all the time.
    ratio("breakpoint-elsewhere",
          planted(["n0"], "ip_forward", "", 0, way.forward, FINE_PAIRS))
    others = [node for node in long.base if node != "n0"]
    for name, nodes, function, condition, offset, move in (
            ("false-condition", others, "ip_rcv", FALSE_CONDITION, 0, way.forward),
            ("false-condition-backwards", others, "ip_rcv", FALSE_CONDITION, 0, way.way_back),
            ("false-condition-inside-a-function", others, "ip_rcv", FALSE_CONDITION, ENTRY_BYTES,
             way.forward),
            ("false-condition-for-the-server", ["n1"], "ip_rcv", ASKED_CONDITION, ENTRY_BYTES,
             way.forward),
            ("false-condition-in-a-program", ["program"], "", FALSE_CONDITION, 0, way.forward)):
        pairs = planted(nodes, function, condition, offset, move)
        hits = len(nodes) * datagrams
        report(name, statistics.median(1e6 * (pair[0] - pair[1]) / hits for pair in pairs), "us",
               PAIRS)


def proportional_mib(process: int) -> float:
    """The memory of a process and of all that it started; what some share is counted once."""
    proc = Path(f"/proc/{process}")
    kib = re.search(r"^Pss: +(\d+)", (proc / "smaps_rollup").read_text(), re.M)
    children = (proc / f"task/{process}/children").read_text().split()
    return (int(kib[1]) / 1024 if kib else 0) + sum(map(proportional_mib, map(int, children)))


def alone(trace: Path, backhop: Path, nodes: int, report: Report) -> None:
    """From the command to the end of the run, and the memory then, with all nodes and with one."""
    cache = str(trace.parent / "cache")  # of which nothing is known yet

    def to_end(*options: str) -> Tuple[float, float]:
        begin = time.monotonic()
        with Server(str(trace), str(backhop), *options, BACKHOP_CACHE=cache) as server:
            server.goto("end")
            return time.monotonic() - begin, proportional_mib(server.process.pid)

    whole_s, whole_mib = to_end()
    node = "--node", f"n{nodes // 2}"
    baseline = (f"all {nodes} nodes", whole_s)
    report(f"one-of-{nodes}-nodes-to-end-first-time", to_end(*node)[0], "s", 1, baseline)
    runs = [to_end(*node) for _ in range(RUNS)]
    report(f"one-of-{nodes}-nodes-to-end", statistics.median(run[0] for run in runs), "s", RUNS,
           baseline)
    report(f"one-of-{nodes}-nodes-memory", runs[-1][1], "MiB", 1,
           (f"all {nodes} nodes", whole_mib))


def steps(trace: Path, backhop: Path, nodes: int, report: Report, *options: str) -> None:
    """One instruction back, and the list of threads that gdb asks for at each stop."""
    long = Long(trace, backhop, *options)
    shown = "-of-which-one-runs" if options else ""
    with long.server as server:
        long.plant(f"n{nodes - 1}", "ip_rcv")
        server.goto("start")
        long.seconds("vCont;c", "swbreak")
        times = []
        for _ in range(STEPS):
            times.append(1000 * (timed(server.resume, "bs")[0]
                                 + timed(server.document, "threads:read:")[0]))
        times.sort()
        report(f"reverse-stepi-of-{nodes}-nodes{shown}", times[STEPS // 2], "ms", STEPS)
        report(f"reverse-stepi-of-{nodes}-nodes{shown}-p99", times[STEPS * 99 // 100], "ms", STEPS)
