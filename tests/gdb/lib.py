# SPDX-License-Identifier: GPL-2.0-or-later
"""For the tests of this folder: records a run, drives one gdb on it, checks what it prints.

A test is a python3 script that prints TAP:

    from lib import Replay, check, done, record

    with Replay(record("blackhole.yaml")) as gdb:
        gdb("break ip_rcv if $node == 2")
        check("stops on r2", "r2/" in gdb("continue"))
    done()

gdb that crashes, hangs or ends early fails the test. Run by tests/run, which sets BACKHOP (the
program) and SOURCE (this tree) and starts each test in an empty folder.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import List, NoReturn, Optional, Type

BACKHOP = os.environ.get("BACKHOP", "backhop")
SOURCE = os.environ.get("SOURCE", os.path.join(os.path.dirname(__file__), "../.."))
# One command of gdb may take this long; the machine may be busy.
TIMEOUT_S = float(os.environ.get("BACKHOP_TEST_TIMEOUT_S", 120))
# So many lines of what gdb told are shown when a check fails.
MAX_TOLD = 30

_count = 0
_failed = 0


def check(name: str, condition: object, told: str = "") -> bool:
    """One line of TAP; what gdb told follows if it failed."""
    global _count, _failed
    _count += 1
    print(f"{'' if condition else 'not '}ok {_count} - {name}", flush=True)
    if not condition:
        _failed += 1
        for line in told.splitlines()[:MAX_TOLD]:
            print(f"# {line}", flush=True)
    return bool(condition)


def matches(name: str, pattern: str, told: str) -> bool:
    """Checks that a regular expression is found; ^ and $ are the ends of lines."""
    return check(name, re.search(pattern, told, re.M), f"no /{pattern}/ in:\n{told}")


def done() -> NoReturn:
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


def bail_out(reason: str) -> NoReturn:
    check(reason, False)
    done()


def run(arguments: List[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs backhop to its end, with its output in text."""
    return subprocess.run([BACKHOP, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=TIMEOUT_S,
                          env={**os.environ, **environment})


def record(scenario: str, exit_status: int = 1) -> str:
    """Records an example; the trace's name."""
    return record_file(os.path.join(SOURCE, "examples", scenario), exit_status)


def record_file(scenario: str, exit_status: int = 0, *options: str) -> str:
    """Records a scenario; the trace's name."""
    trace = os.path.basename(scenario).replace(".yaml", ".bht")
    result = run(["record", *options, "-o", trace, scenario])
    if result.returncode != exit_status:
        bail_out(f"recording {scenario}: exit status {result.returncode}, not {exit_status}: "
                 + result.stderr.strip().replace("\n", " / "))
    return trace


def on_kernel(scenario: str, kernel: str) -> str:
    """A copy of a scenario whose nodes have that kernel; 6.1 if it isn't built. The copy's name."""
    folder = os.environ.get("BACKHOP_KERNEL_DIR") or os.environ["BUILD"]
    if not os.path.exists(os.path.join(folder, f"kernel-{kernel}", "image")):
        kernel = "6.1"
    with open(scenario, encoding="utf-8") as stream:
        text = stream.read()
    copy = os.path.basename(scenario)
    with open(copy, "w", encoding="utf-8") as stream:
        stream.write(text.replace("topology:\n",
                                  f'topology:\n  defaults: {{kernel: "{kernel}"}}\n', 1))
    return copy


def child_of(parent: int, program: str) -> int:
    """The process that runs this program as a child of parent."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as stream:
                words = stream.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{name}/comm", encoding="utf-8") as stream:
                comm = stream.read().strip()
        except (OSError, IndexError):
            continue
        if words[1] == str(parent) and comm == program:
            return int(name)
    bail_out(f"there is no {program} among the children of {parent}")


class Replay:
    """gdb on a trace. Called with a command, it returns what gdb printed."""

    def __init__(self, trace: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [BACKHOP, "replay", *options, trace, "--", "-nx"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.text = b""
        self.serial = 0
        self.greeting = self("set width 0\nset height 0\nset confirm off")

    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.kill()
        if kind is not None and not issubclass(kind, SystemExit):
            bail_out(f"{kind.__name__}: {value}".splitlines()[0])

    def kill(self) -> None:
        """Ends all of it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            bail_out(f"gdb has ended before '{command}'; it said: {self.text[-500:]!r}")

    def receive(self, until: bytes, what: str) -> str:
        """What gdb prints up to a text, which is taken too."""
        assert self.process.stdout is not None
        end = time.monotonic() + TIMEOUT_S
        while until not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                told = self.text.decode(errors="replace")
                self.kill()
                check(f"gdb answers '{what}' within {TIMEOUT_S:.0f} s", False, told)
                done()
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                told = self.text.decode(errors="replace")
                self.kill()
                check(f"gdb lives through '{what}'", False, told)
                done()
            self.text += data
        before, self.text = self.text.split(until, 1)
        return before.decode(errors="replace").replace("(gdb) ", "")

    def __call__(self, command: str) -> str:
        self.serial += 1
        mark = f"<<{self.serial}>>"
        # The mark is put together by gdb, so that an echo of the command isn't taken for it.
        self.send(f"{command}\necho <<{self.serial}\\076>\\n")
        return self.receive(mark.encode(), command).strip()

    def value(self, expression: str) -> int:
        """An integer expression, asked of gdb."""
        told = self(f"output/d (long)({expression})")
        match = re.search(r"-?\d+\s*$", told)
        if not match:
            bail_out(f"{expression} is no number: {told}")
        return int(match.group())

    def position(self) -> str:
        return self("monitor position")

    def registers(self) -> str:
        return self("info registers")

    def digest(self) -> str:
        return self("monitor digest")
