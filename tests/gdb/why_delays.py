# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests/gdb/why-delay and why-late: what `why` has to tell of packets that arrive late: where
the time of each went, and what decided the longest share of it. tests/faults/delays.yaml has a
reason for each. Each of these tests takes some of them, so that they run at the same time."""

import json
import os
from typing import Any, Dict, List, Tuple

from lib import SOURCE, Replay, check, done, matches, on_kernel, record_file

Packet = Dict[str, Any]

# What it is, a filter that finds it and which of those it finds (from 0), what must be told.
CASES: List[Tuple[str, str, int, List[str]]] = [
    ("ARP", "icmp and from h1 and to h2", 0, [
        r"^Why: 0\.004336 s of 0\.010792 s: it waited for the address of neighbour 10\.0\.2\.2 on "
        r"eth1, which packet \d+ had asked for at event \d+, 5\.004520000s; the answer, packet "
        r"\d+, came at event \d+\.$",
        r"^  decided in neigh_event_send_probe at include/net/neighbour\.h:\d+\n      if \(!\(.*"
        r"nud_state\)? & \(NUD_CONNECTED \| NUD_DELAY \| NUD_PROBE\)\)\)$",
        r"state neighbour 10\.0\.2\.2 dev eth1: nud_state = NUD_NONE$",
        r"^  calls .*(\n        .*)*neigh_update at .*\n.*arp_process at net/ipv4/arp\.c:\d+$",
        r"^ +0\.002672 s  h1: waiting for a neighbour's address, until packet \d+ came at event "
        r"\d+; goto \d+:\d+:0 goto \d+:\d+:0$",
        r"^ +0\.000784 s  h1:eth0: 98 bytes at 1000000 bit/s on the link at h1:eth0 \(line \d+"]),
    ("neighbour discovery", "icmp6[icmp6type] = 128 and from h1", 0, [
        r"^Why: .*: it waited for the address of neighbour fd02::2 on eth1, which packet \d+ had "
        r"asked for", r"ndisc_recv_na at net/ipv6/ndisc\.c:\d+$"]),
    ("a slow link", "udp port 9", 0, [
        r"^Why: 0\.011536 s of 0\.014536 s: its 1442 bytes take so long at 1000000 bit/s on the "
        r"link at h1:eth0\.$",
        r"^  state rate of the link at h1:eth0 = 1000000 bit/s \(line \d+ of the scenario\)$",
        r"^ +0\.002000 s  r1:eth1: the delay of the link from r1:eth1 to h2 \(line \d+ of"]),
    ("behind a bulk flow", "udp port 9", 7, [
        r"^Why: 0\.080752 s of 0\.095288 s: it waited for the link at h1:eth0 behind 7 frames "
        r"\(packets \d+, \d+, \.\.\., \d+\)\.$",
        r"before it: packet \d+: IP 10\.0\.1\.2\.\d+ > 10\.0\.2\.2\.9: UDP, length 1400$"]),
    ("tbf", "udp port 9", 10, [
        r"^Why: .*: it waited in the queueing discipline tbf of eth1 behind 1 packet \(packet "
        r"\d+\), until its timer let it go at event \d+ \(qdisc_watchdog\(\), set .* before\)\.$",
        r"^  decided in tbf_dequeue at net/sched/sch_tbf\.c:\d+\n +if \(\(toks\|ptoks\) >= 0\)$",
        r"state qdisc tbf \w+: dev eth1: rate\.rate_bytes_ps = 25000 bytes/s$",
        r"set by `tc qdisc add dev eth1 root tbf rate 200kbit burst 2000 limit 100000` "
        r"\(r1/tc-\d+\)",
        r"state timer of qdisc_watchdog: expires = \d+ ns \(tbf_dequeue <- "]),
    ("netem", "icmp and from h2 and to h1", 1, [
        r"^Why: 0\.080000 s of .*: it waited in the queueing discipline netem of eth0, until",
        r"^  decided in netem_dequeue at net/sched/sch_netem\.c:\d+\n +if \(time_to_send <= now",
        r"state qdisc netem \w+: dev eth0: latency = 80000000 ns$",
        r"set by `tc qdisc add dev eth0 root netem delay 80ms` \(h2/tc-\d+\)"]),
    ("a program that sleeps", "udp port 10", 0, [
        r"^packet \d+: delivered h2 python3-\d+ at event \d+, 19\.0",
        r"^Why: 0\.99\d+ s of .*: python3-(\d+) read it late: it was in clock_nanosleep\(\) when "
        r"the packet came, until a timer woke python3-\1 at event \d+ \(hrtimer_wakeup\(\), set "
        r"18\.000000 s before\)\.$",
        r"decided in do_nanosleep at kernel/time/hrtimer\.c:\d+$"]),
    ("a delayed acknowledgement", "tcp src port 80 and less 66", -1, [
        r"^Why: 0\.04\d+ s of .*: it was made only when a timer of h2 expired "
        r"\(tcp_delack_timer\(\), set 0\.04\d+ s before\)\.$",
        r"decided in __tcp_ack_snd_check at net/ipv4/tcp_input\.c:\d+$",
        r"state timer of tcp_delack_timer: .*tcp_send_delayed_ack"]),
    ("a retransmission", "tcp dst port 80", -1, [
        r"^Why: 0\.2\d+ s of .*: its data had to be sent again, because packet (\d+) was lost on "
        r"r1 at event \d+; tcp_send_loss_probe\(\) did so when a timer expired "
        r"\(tcp_write_timer\(\), set 0\.2\d+ s before\)\.$",
        r"decided in tcp_write_timer_handler at net/ipv4/tcp_timer\.c:\d+\n +switch \(event\)$",
        r"where icsk->icsk_pending = 5$",
        r"h1: its data was sent as packet (\d+), which was lost on r1 at event \d+: `why \1`;"]),
    ("a full link", "udp port 11", 5, [
        r"^Why: .*: it waited in the queueing discipline pfifo_fast of eth0 behind 3 packets "
        r"\(packets .*\) because the link's queue was full, until it had room at event \d+\.$",
        r"state queue of the link at h2:eth0 = 2 frames, and it holds the device when it is full "
        r"\(line \d+ of the scenario\)$"]),
]


def find(gdb: Replay, name: str, filter_text: str, index: int) -> Packet:
    told = gdb(f"info packets --json {filter_text}")
    found = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    if name == "a delayed acknowledgement":
        found = [packet for packet in found if packet["origin"]["kind"] == "timer"]
    if name == "a retransmission":
        found = [packet for packet in found if packet["relation"] == "retransmission"]
    check(f"{name}: it is there", -len(found) <= index < len(found), told)
    packet: Packet = found[index]
    return packet


def machine(gdb: Replay, number: int) -> None:
    """The same for programs."""
    data = json.loads(gdb(f"why --json {number}"))
    check("--json: the packet and its end", data["packet"] == number and
          data["kind"] == "delivered" and data["node"] == "h2", str(data))
    longest = [share for share in data["shares"] if share["is_longest"]]
    check("--json: the longest share", len(longest) == 1 and longest[0]["kind"] == "queue" and
          longest[0]["where"] == "h1:eth0" and len(longest[0]["packets"]) == 7, str(data["shares"]))
    packet = json.loads(gdb("info packets --json udp port 9").splitlines()[7])
    total = data["vtime_ns"] - packet["born_ns"]
    check("--json: the shares are its whole time",
          sum(share["ns"] for share in data["shares"]) == total, f"{total}: {data['shares']}")
    matches("-backhop-why", rf'^\^done,why=\{{.*packet="{number}".*shares=\[\{{kind="queue",',
            gdb(f'interpreter-exec mi "-backhop-why {number}"'))


def test(kernel: str, *names: str) -> None:
    cases = [case for case in CASES if case[0] in names]
    check("there are all of them", len(cases) == len(names), str(names))
    scenario = on_kernel(os.path.join(SOURCE, "tests/faults/delays.yaml"), kernel)
    with Replay(record_file(scenario)) as gdb:
        before = gdb.position()
        for name, filter_text, index, patterns in cases:
            packet = find(gdb, name, filter_text, index)
            told = gdb(f"why {packet['id']}")
            for pattern in patterns:
                matches(f"{name}: {pattern[:60]}", pattern, told)
            if name == "behind a bulk flow":
                machine(gdb, packet["id"])
        check("the replay is where it was", gdb.position() == before, gdb.position())
    done()
