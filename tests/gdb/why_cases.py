# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests/gdb/why-*: what `why` has to tell of the faults whose scenarios are in tests/faults.
Each of those tests takes some of the faults, so that they run at the same time."""

import json
import os
from typing import Any, Dict, List, Sequence, Tuple

from lib import SOURCE, Replay, bail_out, check, done, matches, on_kernel, run

# On Linux 6.12, if that is built; the others on 6.1.
ON_6_12 = ("rp-filter", "no-route6", "mtu", "nftables", "vlan", "full-qdisc", "neighbour",
           "checksum")
# The fault, the exit status of its run, what to ask, and what must be told: file and line's text of
# a decision, a state with its value, who set the state.
CASES: List[Tuple[str, int, str, List[str]]] = [
    ("no-route", 1, "", [
        r"^Why: there is no route to 10\.0\.9\.2: the one to 10\.0\.9\.0/24 was deleted\.$",
        r"ip_route_input_slow at net/ipv4/route\.c:\d+$",
        r"where fib_table_lookup\(\) = -EAGAIN$",
        r"set by `ip route del 10\.0\.9\.0/24` \(r1/ip-\d+\) at event \d+, 3\.0"]),
    ("no-route6", 1, "", [
        r"^Why: there is no route to fd09::2: the one to fd09::/64 was deleted\.$",
        r"ip6_pol_route at net/ipv6/route\.c:\d+\n +if \(res\.f6i == net->ipv6\.fib6_null_entry\)$",
        r"^  state route fd09::/64 = deleted$",
        r"set by `ip -6 route del fd09::/64` \(r1/ip-\d+\) at event \d+, 3\.0"]),
    ("prohibit6", 1, "", [
        r"^Why: the route to fd09::/64 is of the type prohibit\.$",
        r"ip6_rt_init_dst_reject at net/ipv6/route\.c:\d+\n +switch \(fib6_type\)$",
        r"where f6i->fib6_type = 8$",
        r"set by `ip -6 route replace prohibit fd09::/64` \(r1/ip-\d+\) at event \d+, 3\.0"]),
    ("rp-filter", 1, "", [
        r"\(IP_RPFILTER\)",
        r"__fib_validate_source at net/ipv4/fib_frontend\.c:\d+\n +if \(rpf == 1\)$",
        r"state .*devconf_all->data\[\d+\] = 1 \(net\.ipv4\.conf\.all\.rp_filter\)$",
        r"set by the node's set-up, `sysctls` .*\(r1/swapper-1\) at event \d+, 0\.0"]),
    ("ttl", 1, "", [
        r"ip_forward at net/ipv4/ip_forward\.c:\d+\n +if \(ip_hdr\(skb\)->ttl <= 1\)$",
        r"state the packet's iphdr\.ttl = 1 "]),
    ("mtu", 1, "PACKET PKT_TOO_BIG", [
        r"ip_exceeds_mtu at net/ipv4/ip_forward\.c:\d+\n +if \(skb->len <= mtu\)$",
        r"where skb->len = 1428$", r"state dev->mtu = 1400$",
        r"set by `ip link set eth1 mtu 1400` \(r1/ip-\d+\)",
        r"told so by packet \d+, which was dropped on h1 at event \d+: `why \d+`"]),
    ("mtu", 1, "", [
        r"^h1 dropped .*\(NETFILTER_DROP\)",
        r"set by `nft add rule ip t in icmp type destination-unreachable drop`"]),
    ("nftables", 1, "", [
        r"nft_do_chain at net/netfilter/nf_tables_core\.c:\d+\n +switch \(regs\.verdict\.code",
        r"state rule 3 in chain forward of table fw = drop$",
        r"set by `nft add rule inet fw forward ip saddr 10\.0\.1\.2 counter drop` \(r1/nft-\d+\)"]),
    ("full-link", 0, "", [
        r"^packet \d+\.0 was lost \(queue\)",
        r"^Why: the queue of the link at h1:eth0 is full: 4 frames .*, and 3 may wait\.$",
        r"state queue of h1:eth0 = 3 frames at 1000000 bit/s \(line \d+ of the scenario\)$",
        r"made by python3-\d+ in sendto at event \d+, 5\.0"]),
    ("full-qdisc", 0, "", [
        r"pfifo_enqueue at net/sched/sch_fifo\.c:\d+\n +if \(likely\(sch->q\.qlen < "
        r"READ_ONCE\(sch->limit\)\)\)$",
        r"state qdisc pfifo dev eth0: limit = 2$",
        r"set by `tc qdisc replace dev eth0 root pfifo limit 2` \(h1/tc-\d+\)"]),
    ("neighbour", 1, "", [
        r"^Why: neighbour 10\.0\.2\.9 on eth1 stayed unresolved",
        r"neigh_timer_handler at net/core/neighbour\.c:\d+\n +if \(\(neigh->nud_state & "
        r"\(NUD_INCOMPLETE \| NUD_PROBE\)\) && .*neigh_max_probes\(neigh\)\)$",
        r"state neighbour 10\.0\.2\.9 dev eth1: probes = "]),
    ("checksum", 1, "", [
        r"icmp_rcv at net/ipv4/icmp\.c:\d+\n +if \(skb_checksum_simple_validate\(skb\)\)$",
        r"^Why: the packet's checksum is wrong: the link from r1 to h2 changed the frame between "
        r"event \d+ and event \d+\.$"]),
    ("vlan", 1, "", [
        r"^Why: the bridge's port eth0 doesn't take frames of VLAN 30; it has 1, 20\.$",
        r"__allowed_ingress at net/bridge/br_vlan\.c:\d+\n +if \(!v \|\| "
        r"!br_vlan_should_use\(v\)\)$",
        r"set by `bridge vlan add vid 20 dev eth0` \(sw/bridge-\d+\)"]),
    ("timer", 1, "", [
        r"^Why: a timer expired, 30\.\d+ s after it was set: ip_expire\(\) gave up\.$",
        r"in ip_expire at net/ipv4/ip_fragment\.c:\d+$",
        r"set by h2/swapper-0 at event \d+, 5\.0\d+s, in __mod_timer "]),
]
# What may be told instead on a kernel with debug.config: fib_lookup() is a function of its own, and
# searches aren't followed into; the compiler says that the comparison of what an inline function
# got is that function's.
ON_DEBUG = {
    r"where fib_table_lookup\(\) = -EAGAIN$": r"where fib_lookup\(\) = -ENETUNREACH$",
    r"ip_forward at net/ipv4/ip_forward\.c:\d+\n +if \(ip_hdr\(skb\)->ttl <= 1\)$":
        r"ip_forward at include/linux/skbuff\.h:\d+$",
}


def recorded(fault: str, status: int) -> str:
    """The trace of a fault's run."""
    trace = f"{fault}.bht"
    if os.path.exists(trace):
        return trace
    kernel = "6.12" if fault in ON_6_12 else "6.1"
    scenario = on_kernel(os.path.join(SOURCE, "tests/faults", f"{fault}.yaml"), kernel)
    result = run(["record", "--quiet", "-o", trace, scenario])
    if result.returncode not in (0, 1):
        bail_out(f"recording {fault}: {result.stderr.strip()}")
    check(f"{fault}: the run ends as it should", result.returncode == status, result.stderr)
    return trace


def drops(trace: str) -> List[Dict[str, Any]]:
    told = run(["events", "--kind", "drop", "--json", trace]).stdout
    return [json.loads(line) for line in told.splitlines()]


def ask(trace: str, what: str) -> str:
    if what.startswith("PACKET "):
        what = str([drop["packet"] for drop in drops(trace) if drop["reason"] == what[7:]][0])
    return f"why {what}".strip()


def test(*faults: str) -> None:
    """All that must be told of these faults."""
    cases: Sequence[Tuple[str, int, str, List[str]]] = [case for case in CASES if case[0] in faults]
    is_debug = "-debug" in os.environ.get("BACKHOP_KERNELS", "")
    check("there is a case of each fault", {case[0] for case in cases} == set(faults))
    for fault, status, what, patterns in cases:
        trace = recorded(fault, status)
        with Replay(trace) as gdb:
            before = gdb.position()
            command = ask(trace, what)
            told = gdb(command)
            for pattern in patterns:
                if is_debug and pattern in ON_DEBUG:
                    pattern = f"{pattern}|{ON_DEBUG[pattern]}"
                matches(f"{fault}: {command}: {pattern[:60]}", pattern, told)
            check(f"{fault}: the replay is where it was", gdb.position() == before,
                  gdb.position())
    done()
