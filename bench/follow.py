# SPDX-License-Identifier: GPL-2.0-or-later
"""Following packets, for bench/run: `info packets` over many packets, and `reverse-hop`, both in a
real gdb with the plugin."""

import json
import random
import re
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

Report = Callable[..., None]
QUERIES = 7
HOPS = 60


class Gdb:
    """gdb on a replay, with its echo as the mark that a command is done."""

    def __init__(self, trace: Path, backhop: Path) -> None:
        self.process = subprocess.Popen(
            [str(backhop), "replay", str(trace), "--", "-nx"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self("set width 0\nset height 0\nset confirm off")

    def __enter__(self) -> "Gdb":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def __call__(self, command: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho <\\076\\n\n")
        lines: List[str] = []
        for line in self.process.stdout:
            if line.endswith("<>\n"):
                return "".join(lines)
            lines.append(line)
        raise RuntimeError(f"gdb ended at '{command}': {''.join(lines)[-300:]}")

    def timed(self, command: str) -> Tuple[float, str]:
        start_s = time.monotonic()
        told = self(command)
        return time.monotonic() - start_s, told


def listing(trace: Path, backhop: Path, packets: int, report: Report) -> None:
    """A filter that few packets pass, so that all are looked at, once the table is there."""
    with Gdb(trace, backhop) as gdb:
        first_s, told = gdb.timed("info packets arp")
        if "who-has" not in told:
            raise RuntimeError(f"info packets says: {told[:300]}")
        times = [gdb.timed("info packets arp")[0] for _ in range(QUERIES)]
    report(f"info-packets-filter-{packets}", statistics.median(times), "s", QUERIES)
    report(f"info-packets-filter-{packets}-first", first_s, "s", 1)
    with Gdb(trace, backhop) as gdb:
        report(f"info-packets-filter-{packets}-from-cache", gdb.timed("info packets arp")[0],
               "s", 1)


def hops(trace: Path, backhop: Path, report: Report) -> None:
    """Back over all links, from where random packets ended; with a packet selected and without."""
    choose = random.Random(1)
    times: Dict[str, List[float]] = {"selected": [], "causes": []}
    done = subprocess.run([str(backhop), "packets", "--json", str(trace), "udp"], check=True,
                          capture_output=True, text=True)
    packets = [json.loads(line) for line in done.stdout.splitlines()]
    with Gdb(trace, backhop) as gdb:
        for way, found in times.items():
            while len(found) < HOPS:
                packet = choose.choice(packets)
                gdb(f"packet {packet['id'] if way == 'selected' else 'none'}")
                gdb(f"goto {packet['hops'][-1]['event']}")
                for _ in range(len(packet["hops"]) // 2):
                    time_s, told = gdb.timed("reverse-hop")
                    if not re.search(r"sent packet", told):
                        raise RuntimeError(f"reverse-hop says: {told[:300]}")
                    found.append(time_s)
    for way, found in times.items():
        report(f"reverse-hop-{way}", 1000 * statistics.median(found), "ms", len(found))
