# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands in for backhop in `tests/run --again` (make test-determinism): after each recording that a
test makes, the same scenario is recorded in other circumstances and the trace is run again, and all
of it must be the same, byte for byte.

Called as again.py FOLDER BACKHOP ARGUMENT...: BACKHOP is the program, FOLDER where results go. Each
is a line there in the file `results`: ok, not ok or skip, the scenario, the circumstances, and what
differed first, separated by tabs. The test sees nothing of it: output, exit status, files and the
signal that ended the program are those of the first run.
"""

import ctypes
import hashlib
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import zip_longest
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

# What a processor may lack, down to what every x86-64 has, for the C library that the simulator is
# linked with (that of the programs has a processor of ours).
OLD_PROCESSOR = (
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-BMI1,-BMI2,-LZCNT,-MOVBE,-ERMS,"
    "-FSRM,-RTM,-FMA,-SSE4_2,-SSE4_1,-SSSE3,-POPCNT:glibc.cpu.x86_non_temporal_threshold=65536")
GDB = ["gdb", "-nx", "-batch", "-iex", "set auto-solib-add off",
       "-ex", "handle SIGSYS SIGSEGV SIGBUS SIGFPE SIGILL SIGALRM nostop noprint pass"]
# What is saved of the registers at a system call: as before AVX.
SMALL_REGISTERS = ["-ex", "break bh_vsyscall_trap", "-ex", "run",
                   "-ex", "set var bh_xsave_mask = 3", "-ex", "set var bh_xsave_size = 576",
                   "-ex", "delete", "-ex", "continue", "--args"]
# / as another file system shows it, with other inodes, and /etc with other times and in another
# order. What the run writes goes to the folder $1, which is the same on both sides.
OTHER_ROOT = """
set -e
results=$1 folder=$PWD place=$(mktemp -d -p "$1")
shift
mount -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
cp -r --preserve=mode,ownership,links /etc "$place/upper/"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
for own in /proc /dev /sys; do
    mount --rbind "$own" "$place/root$own"
done
mount --bind "$results" "$place/root$results"
exec chroot "$place/root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
RUN_LIMIT_S = 600
HUGE = 64 << 20


class Call(NamedTuple):
    """A call of backhop that runs a scenario."""
    arguments: List[str]  # without those that say where results go, and how they are shown
    scenario: str
    trace: Optional[Path]
    files: Path  # the folder of files-NODE/


class Circumstances(NamedTuple):
    name: str
    prefix: List[str]
    environment: Dict[str, str]
    is_elsewhere: bool = False  # in another folder
    is_busy: bool = False  # while all CPUs are kept busy


def parse(words: List[str]) -> Optional[Call]:
    """None for what can't be recorded once more: other commands, and what a person types."""
    if not words or words[0] not in ("run", "record"):
        return None
    values = ("--files", "--seed", "--spin-limit", "--output", "-o", "--shell", "--shell-time",
              "--shell-start", "--shell-program", "--snapshots")
    # Without snapshots addresses are left to chance, as the circumstances mean it.
    kept, names, trace, files = ["record", "--snapshots", "no"], [], None, Path(".")
    at = 1
    while at < len(words):
        name, equals, value = words[at].partition("=")
        given = [words[at]]
        if name in values and not equals and at + 1 < len(words):
            at += 1
            value = words[at]
            given.append(value)
        at += 1
        if name.startswith("--shell") or name in ("--rr", "--help", "-h"):
            return None
        if name == "--snapshots":
            continue
        if name in ("-o", "--output"):
            trace = Path(value)
        elif name == "--files":
            files = Path(value)
        elif name not in ("--json", "--quiet"):
            kept += given
            names += [] if name.startswith("-") else given
    if len(names) != 1:
        return None
    return Call(kept, names[0], trace if words[0] == "record" else None, files)


def run_first(program: str, words: List[str]) -> Tuple[int, bytes]:
    """The run that the test asked for; its status and, with --json, what it printed. A signal for
    us is for the program, and its end by a signal is ours."""
    def end_with_parent() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    is_kept = "--json" in words
    with subprocess.Popen([program, *words], preexec_fn=end_with_parent,
                          stdout=subprocess.PIPE if is_kept else None) as process:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: process.send_signal(number))
        output = process.stdout.read() if process.stdout else b""
        status = process.wait()
    if is_kept:
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status, output


class Busy:
    """Keeps all CPUs busy for as long as it lasts, if others don't."""

    def __init__(self, is_wanted: bool) -> None:
        count = len(os.sched_getaffinity(0))
        if not is_wanted or os.getloadavg()[0] > 2 * count:
            count = 0
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                          for _ in range(count)]

    def __enter__(self) -> "Busy":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def all_circumstances(folder: Path) -> List[Circumstances]:
    plain = {name: value for name, value in os.environ.items()
             if name == "PATH" or name == "HOME" or name.startswith(("BACKHOP", "XDG_"))}
    strange = {**plain, "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "LD_BIND_NOW": "1",
               "GLIBC_TUNABLES": "glibc.malloc.check=1", "FILLER": "x" * 5000}
    limits = "ulimit -s 4096 -c 0 -n 60; umask 077; exec 7</etc/passwd; exec \"$@\""
    one_cpu = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    return [
        Circumstances("busy, elsewhere, without address randomisation",
                      ["setarch", "-R", "bash", "-c", limits, "-"], strange, True, True),
        Circumstances("on an old processor", one_cpu, {**plain, "GLIBC_TUNABLES": OLD_PROCESSOR}),
        Circumstances("under gdb, with SSE's registers alone", [*GDB, *SMALL_REGISTERS], plain),
        Circumstances("on another file system",
                      ["unshare", "-m", "sh", "-c", OTHER_ROOT, "-", str(folder)], plain),
    ]


def can_mount() -> bool:
    """Whether a mount namespace can be made: only root can, and not where / is a mere folder."""
    return subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def contents(folder: Path) -> Set[Tuple[str, str]]:
    """Names below the folder, each with what it is; of a huge file, whose holes would take long to
    read, with its size."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_symlink():
            what = f"link to {os.readlink(path)}"
        elif path.is_file():
            size = path.stat().st_size
            what = hashlib.sha256(path.read_bytes()).hexdigest() if size < HUGE else str(size)
        else:
            what = "folder"
        found.add((str(path.relative_to(folder)), what))
    return found


class Scenario:
    """A scenario that was run once, and all that is done with it again."""

    def __init__(self, program: str, call: Call, results: Path) -> None:
        self.program, self.call, self.results = program, call, results
        self.folder = Path(tempfile.mkdtemp(prefix="again-", dir=results))
        self.base = self.folder / "base.bht"

    def tell(self, verdict: str, circumstances: str, detail: str = "") -> None:
        line = "\t".join((verdict, self.call.scenario, circumstances, detail.replace("\n", " / ")))
        with open(self.results / "results", "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def record(self, trace: Path, how: Circumstances) -> str:
        """Returns why there is no trace, or nothing."""
        arguments = list(self.call.arguments)
        cwd = Path.cwd()
        if how.is_elsewhere:
            at = arguments.index(self.call.scenario)
            arguments[at] = str(Path(arguments[at]).absolute())
            cwd = self.folder / "a rather long name for a folder that isn't the test's"
            cwd.mkdir(exist_ok=True)
        command = [*how.prefix, self.program, *arguments, "--quiet", "-o", str(trace),
                   "--files", str(trace.with_suffix(".files"))]
        trace.with_suffix(".files").mkdir()
        with Busy(how.is_busy):
            try:
                done = subprocess.run(command, cwd=cwd, env=how.environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=RUN_LIMIT_S, check=False)
            except subprocess.TimeoutExpired:
                return f"still running after {RUN_LIMIT_S} s"
        return "" if trace.exists() else \
            f"no trace: {done.stdout.decode(errors='replace').strip()[-300:]}"

    def backhop(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, errors="replace", timeout=RUN_LIMIT_S,
                              cwd=self.folder)

    def first_difference(self, other: Path) -> str:
        """What two traces that aren't the same differ in: event, node and field."""
        ours, theirs = (self.backhop("events", "--json", str(trace)).stdout.splitlines()
                        for trace in (self.base, other))
        for one, two in zip_longest(ours, theirs):
            if one == two:
                continue
            if one is None or two is None:
                return f"one run has more events: {(one or two)[:300]}"
            a, b = json.loads(one), json.loads(two)
            field = next(name for name in a if a[name] != b.get(name))
            return (f"event {a['event']} on {a.get('node')}: {field} is {a[field]!r}, "
                    f"then {b.get(field)!r}")
        first, second = (json.loads(self.backhop("info", "--json", str(trace)).stdout)
                         for trace in (self.base, other))
        for a, b in zip_longest(first.pop("inputs"), second.pop("inputs")):
            if a != b:
                return f"all events are the same; input {a}, then {b}"
        for name in first:
            if first[name] != second.get(name):
                return f"all events are the same; {name}: {first[name]}, then {second.get(name)}"
        return "all events and inputs are the same, the bytes of the traces aren't"

    def record_all(self) -> None:
        kept: Optional[Set[Tuple[str, str]]] = None
        for number, how in enumerate(all_circumstances(self.folder)):
            tool = how.prefix[0] if how.prefix else "true"
            if not shutil.which(tool):
                self.tell("skip", how.name, f"{tool} is not installed")
                continue
            if tool == "unshare" and not can_mount():
                self.tell("skip", how.name, "needs root, and / that is a mount point")
                continue
            start = time.monotonic()
            trace = self.folder / f"{number}.bht"
            fault = self.record(trace, how)
            if not fault and trace.read_bytes() != self.base.read_bytes():
                fault = self.first_difference(trace)
            if not fault:
                files = contents(trace.with_suffix(".files"))
                kept = files if kept is None else kept
                differing = sorted({path for path, _ in kept ^ files})
                fault = f"files of nodes: {' '.join(differing[:5])}" if differing else ""
            self.tell("not ok" if fault else "ok", how.name,
                      fault or f"{time.monotonic() - start:.2f} s")

    def run_again(self) -> None:
        """The trace, replayed."""
        start = time.monotonic()
        done = self.backhop("verify", str(self.base))
        self.tell("ok" if done.returncode == 0 else "not ok", "verified",
                  f"{time.monotonic() - start:.2f} s" if done.returncode == 0 else
                  (done.stdout + done.stderr).strip()[-300:])
        if not shutil.which("gdb"):
            self.tell("skip", "replayed under gdb", "gdb is not installed")
            return
        start = time.monotonic()
        events = json.loads(self.backhop("info", "--json", str(self.base)).stdout)["events"]
        done = self.backhop("replay", str(self.base), "--", "-nx", "-batch", "-ex", "goto end")
        is_same = f"\nevent {events} (" in done.stdout
        self.tell("ok" if is_same else "not ok", "replayed under gdb",
                  f"{time.monotonic() - start:.2f} s" if is_same else
                  (done.stdout + done.stderr).strip()[-300:])

    def put_aside(self) -> List[Tuple[Path, Path]]:
        """What the first run has written, which it didn't see itself, goes out of the way of
        programs that look at the scenario's folder. Returns where it was and where it is."""
        written = [path for path in self.call.files.glob("files-*") if path.is_dir()]
        moved: List[Tuple[Path, Path]] = []
        for path in written + ([self.call.trace] if self.call.trace else []):
            aside = self.folder / f"aside-{len(moved)}"
            shutil.move(path, aside)
            moved.append((path, aside))
        return moved

    def check(self, output: bytes) -> None:
        if self.call.trace:
            shutil.copyfile(self.call.trace, self.base)
        moved = self.put_aside()
        try:
            self.check_all(output)
        finally:
            for path, aside in moved:
                shutil.move(aside, path)

    def check_all(self, output: bytes) -> None:
        if not self.call.trace:
            fault = self.record(self.base, Circumstances("plain", [], dict(os.environ)))
            if fault:
                self.tell("not ok", "recorded", fault)
                return
            if output.strip():
                info = json.loads(self.backhop("info", "--json", str(self.base)).stdout)
                ran = json.loads(output)["digest"]
                is_same = info["digest"] == ran
                self.tell("ok" if is_same else "not ok", "recorded", "0 s" if is_same else
                          f"digest {ran} without a trace, {info['digest']} with one")
        self.record_all()
        self.run_again()


def default_trace(words: List[str], before: float) -> Optional[Path]:
    """NAME.bht in this folder, if this run wrote it: the newest."""
    found = [path for path in Path(".").glob("*.bht") if path.stat().st_mtime >= before]
    return max(found, key=lambda path: path.stat().st_mtime) if words[0] == "record" and found \
        else None


def main() -> int:
    results, program, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    call = parse(words)
    if call is None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
        os.execv(program, [program, *words])
    before = time.time() - 0.1
    status, output = run_first(program, words)
    if status > 1:
        return status
    if call.trace is None:
        call = call._replace(trace=default_trace(words, before))
    scenario = Scenario(program, call, results)
    try:
        scenario.check(output)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        scenario.tell("not ok", "compared", f"{shlex.join(words)}: {error!r}")
    shutil.rmtree(scenario.folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
