# SPDX-License-Identifier: GPL-2.0-or-later
"""Run by gdb for bench/run step: stops in r2's ip_rcv and times single steps there, backwards and
forwards, as a person at the prompt has them. Prints one JSON object of milliseconds.
"""

import json
import time
from typing import Dict, List

import gdb

STEPS = 200
LINES = 4


def timed(command: str) -> float:
    start = time.monotonic()
    gdb.execute(command, to_string=True)
    return 1000 * (time.monotonic() - start)


def main() -> None:
    gdb.execute("break ip_rcv if dce_debug_nodeid()==2", to_string=True)
    gdb.execute("continue", to_string=True)
    times: Dict[str, List[float]] = {"reverse-stepi": [], "stepi": []}
    for command, values in times.items():
        for _ in range(STEPS):
            values.append(timed(command))
    # The first one back is over the call of ip_rcv, which routes and forwards: thousands of
    # instructions.
    gdb.execute("continue", to_string=True)
    for command in ("next", "reverse-next"):
        times[command] = [timed(command) for _ in range(LINES)]
    print(json.dumps(times))


main()
