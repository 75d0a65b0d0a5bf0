# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests that look at the wire share: they record a scenario, once for each kernel version
in BACKHOP_KERNELS (default: all that are built), and look at its event index. Imported, not run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional

BACKHOP = os.environ["BACKHOP"]
BUILD = Path(os.environ["BUILD"])
SOURCE = Path(os.environ["SOURCE"])
LOSS_REASONS = {1: "loss", 2: "queue", 3: "node-down", 4: "too-long", 5: "link-down", 6: "codel"}

Event = Dict[str, Any]
_count = 0
_failed = 0
_kernel = ""


def check(text: str, is_ok: object, *details: object) -> None:
    global _count, _failed
    _count += 1
    _failed += not is_ok
    print(f"{'ok' if is_ok else 'not ok'} {_count} - {text} ({_kernel})")
    for detail in () if is_ok else details:
        print(f"# {str(detail)[:2000]}")
    sys.stdout.flush()


def kernels() -> List[str]:
    if "BACKHOP_KERNELS" in os.environ:
        return os.environ["BACKHOP_KERNELS"].split()
    names = [path.parent.name[len("kernel-"):] for path in sorted(BUILD.glob("kernel-*/image"))]
    return [name for name in names if "-" not in name]


def for_each_kernel(test: Callable[[], None]) -> None:
    """Runs the test in a folder for each version, prints the plan, and exits."""
    global _kernel
    for _kernel in kernels():
        folder = Path(_kernel)
        folder.mkdir()
        os.chdir(folder)
        test()
        os.chdir("..")
    print(f"1..{_count}")
    sys.exit(_failed > 0 or _count == 0)


class Run:
    """A recorded scenario: its summary, events and files."""

    def __init__(self, name: str, scenario: str, is_verified: bool = True) -> None:
        self.name = name
        self.folder = Path(name)
        self.folder.mkdir()
        text = re.sub(r'kernel: "[^"]*"', f'kernel: "{_kernel}"', scenario)
        (self.folder / "scenario.yaml").write_text(text)
        done = self.backhop("record", "--json", "-o", "trace.bht", "scenario.yaml")
        self.summary: Dict[str, Any] = json.loads(done.stdout) if done.returncode < 2 else {}
        check(f"{name} passes", done.returncode == 0, done.stderr,
              self.summary.get("failures"), self.errors())
        if done.returncode > 1:
            return
        if is_verified:
            again = self.backhop("verify", "--json", "trace.bht")
            check(f"{name} is the same again", again.returncode == 0, again.stdout, again.stderr)
        lines = self.backhop("events", "--json", "trace.bht").stdout.splitlines()
        self.events: List[Event] = [json.loads(line) for line in lines]
        self.by_number = {event["event"]: event for event in self.events}

    def backhop(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([BACKHOP, *arguments], cwd=self.folder, text=True,
                              capture_output=True, check=False)

    def errors(self) -> str:
        return "".join(path.read_text()[-600:]
                       for path in sorted(self.folder.glob("files-*/var/log/*/stderr")))

    def stdout(self, node: str, command: str) -> str:
        """What the last program of the node wrote whose command line has this part."""
        found = [path for path in self.folder.glob(f"files-{node}/var/log/*/cmdline")
                 if command in path.read_text()]
        if not found:
            return ""
        last = max(found, key=lambda path: int(path.parent.name))
        stdout = last.parent / "stdout"
        return stdout.read_text() if stdout.exists() else ""

    def select(self, kind: str, node: Optional[str] = None, device: Optional[int] = None,
               length: Optional[int] = None) -> List[Event]:
        return [event for event in self.events if event["kind"] == kind
                and (node is None or event["node"] == node)
                and (device is None or event["device"] == device)
                and (length is None or event["length"] == length)]

    def effects(self, sent: Iterable[Event], kind: str) -> List[List[Event]]:
        """For each TX the events of a kind that it caused."""
        found: Dict[int, List[Event]] = {event["event"]: [] for event in sent}
        for event in self.events:
            if event["kind"] == kind and event["cause"] in found:
                found[event["cause"]].append(event)
        return list(found.values())


def is_near(count: float, total: int, share: float, sigmas: float = 4) -> bool:
    """Whether count of total is what a share gives, within some standard deviations."""
    deviation: float = (total * share * (1 - share)) ** 0.5
    return abs(count - total * share) <= sigmas * deviation
