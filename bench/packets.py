# SPDX-License-Identifier: GPL-2.0-or-later
"""`backhop packets`, for bench/run: making the table of packets, asking it, and the functions that
handled one packet."""

import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

Report = Callable[..., None]
RUNS = 7


def timed(command: List[str]) -> Tuple[float, str]:
    start_s = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - start_s, done.stdout


def table(trace: Path, backhop: Path, count: int, report: Report) -> None:
    """Made once, which takes about as long as running the trace again; then asked with a filter
    that few packets pass, so that all are looked at."""
    verify_s, _ = timed([str(backhop), "verify", str(trace)])
    query = [str(backhop), "packets", "--json", str(trace), "arp"]
    first_s, told = timed(query)
    if len(told.splitlines()) != 2:
        raise RuntimeError(f"the chain has two ARP packets, the list {told[:300]}")
    seconds = statistics.median(timed(query)[0] for _ in range(RUNS))
    report(f"packets-filter-{count}", seconds, "s", RUNS)
    report(f"packets-first-{count}", first_s, "s", 1, ("backhop verify", verify_s))


def functions(trace: Path, backhop: Path, links: int, report: Report) -> None:
    """Of a datagram that crosses all links of a chain."""
    _, told = timed([str(backhop), "packets", "--json", str(trace), "udp port 5000"])
    packets: List[Dict[str, Any]] = [json.loads(line) for line in told.splitlines()]
    packet = next(packet for packet in packets if len(packet["hops"]) == 2 * links)
    command = [str(backhop), "packets", "--json", "--trace", str(packet["id"]), str(trace)]
    first_s, told = timed(command)
    nodes = {json.loads(line)["node"] for line in told.splitlines()}
    if len(nodes) != links + 1:
        raise RuntimeError(f"functions on {len(nodes)} of {links + 1} nodes: {told[:300]}")
    seconds = statistics.median(timed(command)[0] for _ in range(RUNS))
    report(f"packet-trace-{links}-hops", seconds, "s", RUNS)
    report(f"packet-trace-{links}-hops-first", first_s, "s", 1)
