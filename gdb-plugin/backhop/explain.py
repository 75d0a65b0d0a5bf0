# SPDX-License-Identifier: GPL-2.0-or-later
"""What kernels' decisions mean: knowledge of functions and structures of Linux 6.1 and 6.12.

Each explainer looks at the calls on the stack of a drop (or at what the walk of reasons.py found)
and adds what the code doesn't say: which route, rule, neighbour, sysctl or timer it was, and which
program put it there. Where the kernel doesn't keep that and it is put together from what happened,
the report says that it is a guess. Used by why.py.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import gdb

from backhop import client, flow, names
from backhop.model import Event, Moment
from backhop.packet_model import Packet
from backhop.reasons import Call, Decision, Source, State, Walker, Writer, go_quietly, source_at
from backhop.shares import Share

# So many calls of a function that changes a table are looked at, from the drop backwards.
MAX_CHANGES = 24
# A command line is shown as far as this.
MAX_COMMAND = 120
REFUSING = (6, 7, 8)
ROUTE_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 5: "multicast", 6: "blackhole",
               7: "unreachable", 8: "prohibit", 9: "throw"}


Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass
class Report:
    """What `why` found out about one event."""

    event: Event
    reason: str  # the kernel's name, or the link's
    summary: str = ""  # one sentence: what it means
    decisions: List[Decision] = field(default_factory=list)
    states: List[State] = field(default_factory=list)  # what it came from in the end
    calls: List[Source] = field(default_factory=list)  # the stack of a drop, newest first
    notes: List[str] = field(default_factory=list)
    is_guess: bool = False
    # Of a packet that was neither dropped nor lost, see delay.py.
    packet: Optional[Packet] = None
    shares: List[Share] = field(default_factory=list)
    longest: Optional[Share] = None


@dataclass
class Scene:
    """What an explainer has to look at."""

    walker: Walker
    report: Report
    calls: List[Call]
    place: flow.Place  # of the drop

    def find(self, *functions: str) -> Optional[int]:
        """Index of the newest call of one of these functions."""
        for index, call in enumerate(self.calls):
            if call.extent.name.split(".")[0] in functions or set(functions) & set(call.chain):
                return index
        return None

    def frame(self, index: int) -> Optional[gdb.Frame]:
        """The frame of a call, at the drop; the innermost one of what is inlined there."""
        go_quietly(self.place)
        frame: Optional[gdb.Frame] = gdb.newest_frame()
        while frame is not None:
            if frame.pc() == self.calls[index].pc:
                return frame
            frame = frame.older()
        return None

    def variable(self, index: int, name: str) -> Optional[gdb.Value]:
        """A variable of a call, or of what it is inlined into."""
        frame = self.frame(index)
        while frame is not None and frame.pc() == self.calls[index].pc:
            try:
                value: gdb.Value = frame.read_var(name)
                if not value.is_optimized_out:
                    return value
            except (ValueError, gdb.error):
                pass
            frame = frame.older()
        return None

    def decisions(self, first: int) -> List[Decision]:
        """The walk, from a call of the caller's choice."""
        return self.walker.walk(self.calls[first:], self.place)

    def state(self, name: str, value: str, lvalue: gdb.Value, note: str = "") -> State:
        """Something in memory, with who wrote it last."""
        address, size = int(lvalue.address), int(lvalue.type.sizeof)
        state = State(name, value, address, size, self.place, note=note)
        state.writer = self.walker.writer(address, min(size, 8), self.place)
        go_quietly(self.place)
        return state

    def last_calls(self, functions: Sequence[str], count: int) -> Iterator[Tuple[str, Moment]]:
        """The last times that one of these functions was called on the node, newest first."""
        node = self.walker.kernel.node_at(self.calls[0].pc)
        entries = [(name, self.walker.kernel.entry(node, name)) for name in functions] \
            if node is not None else []
        heads: Dict[str, Moment] = {}
        for name, entry in entries:
            moment = client.last_call(entry, self.place) if entry is not None else None
            if moment is not None:
                heads[name] = moment
        addresses = dict(entries)
        for _ in range(count):
            if not heads:
                return
            name = max(heads, key=lambda item: heads[item].place)
            moment = heads.pop(name)
            yield name, moment
            entry = addresses[name]
            before = client.last_call(entry, moment.place) if entry is not None else None
            if before is not None:
                heads[name] = before


def read(value: gdb.Value, path: str) -> Optional[int]:
    """A number at the end of `a.b.c`, through pointers too; None if it can't be had."""
    try:
        for part in path.split("."):
            value = value[part]
        return int(value)
    except (gdb.error, ValueError):
        return None


def cast(address: int, kind: str) -> gdb.Value:
    return gdb.Value(address).cast(gdb.lookup_type(kind).pointer())


def address_text(data: bytes) -> str:
    return str(ipaddress.ip_address(data)) if len(data) in (4, 16) else data.hex(":")


def memory(address: int, size: int) -> bytes:
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def text_of(value: gdb.Value) -> str:
    try:
        return value.string(errors="replace")
    except gdb.error:
        return "?"


def told(writer: Optional[Writer]) -> str:
    """`ip route del … (h1/ip-41)`, for a sentence."""
    if writer is None:
        return "nobody since the run began"
    if writer.task.endswith("/swapper-1"):
        return f"the node's set-up, `sysctls` or `exec` of the scenario ({writer.task})"
    command = re.sub(r"\s+", " ", writer.command).strip()
    if len(command) > MAX_COMMAND:
        command = command[:MAX_COMMAND] + "…"
    return f"`{command}` ({writer.task})" if command else writer.task


# --- packets ---

def buffer_of(scene: Scene) -> Optional[gdb.Value]:
    """The socket buffer that is dropped."""
    go_quietly(scene.place)
    frame: Optional[gdb.Frame] = gdb.newest_frame()
    pointer = gdb.lookup_type("struct sk_buff").pointer()
    for _ in range(24):
        if frame is None:
            return None
        for name, value in names.variables(frame):
            if name == "skb" and value.type.strip_typedefs() == pointer and int(value):
                return value
        frame = frame.older()
    return None


def addresses(buffer: gdb.Value) -> Optional[Tuple[str, str]]:
    """Source and destination of the packet's network header."""
    start = int(buffer["head"]) + int(buffer["network_header"])
    protocol = int(buffer["protocol"])
    try:
        if protocol == 0x0008:
            data = memory(start + 12, 8)
            return address_text(data[:4]), address_text(data[4:])
        if protocol == 0xdd86:
            data = memory(start + 8, 32)
            return address_text(data[:16]), address_text(data[16:])
    except gdb.MemoryError:
        pass
    return None


# --- sysctls ---

def sysctl_name(name: str) -> Optional[str]:
    """`…devconf_all->data[7]` is net.ipv4.conf.all.rp_filter, say."""
    match = re.search(r"(devconf_all|devconf_dflt|cnf)(?:->|\.)data\[(\d+)\]$", name)
    if not match:
        return None
    symbol = gdb.lookup_symbol("IPV4_DEVCONF_FORWARDING")[0]
    fields = symbol.type.fields() if symbol is not None and symbol.type is not None else []
    wanted = [item.name for item in fields if item.enumval == int(match.group(2)) + 1]
    if not wanted:
        return None
    where = {"devconf_all": "all", "devconf_dflt": "default"}.get(match.group(1), "DEVICE")
    return f"net.ipv4.conf.{where}.{str(wanted[0]).replace('IPV4_DEVCONF_', '').lower()}"


def explain_rp_filter(scene: Scene) -> bool:
    """__fib_validate_source(), net/ipv4/fib_frontend.c, 6.1 and 6.12."""
    if not any("fib_validate_source" in decision.source.function
               for decision in scene.report.decisions):
        return False
    buffer = buffer_of(scene)
    ways = addresses(buffer) if buffer is not None else None
    where = f" {ways[0]}" if ways else ""
    scene.report.summary = (f"reverse path filter: answers to its source{where} would leave by "
                            "another device than it came in by, or by none")
    for state in [item for decision in scene.report.decisions for item in decision.states]:
        sysctl = sysctl_name(state.name)
        if sysctl and "rp_filter" in sysctl and state.value != "0":
            state.note = sysctl
            state.writer = scene.walker.writer(state.address, state.size, scene.place)
            scene.report.states.append(state)
    return True


# --- routes ---

@dataclass
class Change:
    """A change of a routing table."""

    network: Network
    is_added: bool
    kind: int
    moment: Moment


def route_changes(scene: Scene) -> Iterator[Change]:
    """fib_table_insert() and fib_table_delete(), net/ipv4/fib_trie.c, 6.1 and 6.12."""
    for name, moment in scene.last_calls(("fib_table_insert", "fib_table_delete"), MAX_CHANGES):
        go_quietly(moment.place)
        config = cast(moment.arguments[2], "struct fib_config")
        length = read(config, "fc_dst_len")
        kind = read(config, "fc_type")
        if length is None or kind is None or length > 32:
            continue
        data = memory(int(config["fc_dst"].address), 4)
        network = ipaddress.IPv4Network((data, length), strict=False)
        yield Change(network, name == "fib_table_insert", kind, moment)


def route6_changes(scene: Scene) -> Iterator[Change]:
    """ip6_route_add() and ip6_route_del(), net/ipv6/route.c, 6.1 and 6.12."""
    for name, moment in scene.last_calls(("ip6_route_add", "ip6_route_del"), MAX_CHANGES):
        go_quietly(moment.place)
        config = cast(moment.arguments[0], "struct fib6_config")
        length, kind = read(config, "fc_dst_len"), read(config, "fc_type")
        if length is None or kind is None or length > 128:
            continue
        data = memory(int(config["fc_dst"].address), 16)
        network = ipaddress.IPv6Network((data, length), strict=False)
        yield Change(network, name == "ip6_route_add", kind, moment)


def explain_route(scene: Scene) -> bool:
    """ip_route_input_slow(), ip_route_output_key_hash_rcu(), net/ipv4/route.c, 6.1 and 6.12."""
    functions = [decision.source.function for decision in scene.report.decisions]
    if not any(name in ("fib_lookup", "fib_table_lookup", "__fib_lookup") for name in functions) \
            and scene.find("ip_error", "dst_discard", "dst_discard_out") is None:
        return False
    buffer = buffer_of(scene)
    ways = addresses(buffer) if buffer is not None else None
    if ways is None or ":" in ways[1]:
        return False
    values = [state.value for decision in scene.report.decisions for state in decision.states]
    tell_change(scene, ways[1], route_changes(scene), "-EAGAIN" in values)
    return True


def explain_route6(scene: Scene) -> bool:
    """ip6_pkt_discard(), ip6_pkt_prohibit(), which a route's dst.input and dst.output lead to;
    ip6_pol_route(), net/ipv6/route.c, 6.1 and 6.12."""
    if scene.find("ip6_pkt_drop", "ip6_pkt_discard", "ip6_pkt_prohibit") is None:
        return False
    buffer = buffer_of(scene)
    ways = addresses(buffer) if buffer is not None else None
    if buffer is None or ways is None:
        return False
    decisions = scene.report.decisions
    is_none = not any("fib6_type" in decision.source.text for decision in decisions)
    if is_none:
        # No route that refuses but none at all: why it was given that.
        field = buffer["_skb_refdst"]
        chosen = State("skb->_skb_refdst", hex(int(field)), int(field.address), 8, scene.place)
        decisions = decisions[:1] + scene.walker.walk_writer(chosen, scene.place)
    scene.report.decisions = without_doubles(decisions)
    tell_change(scene, ways[1], route6_changes(scene), is_none)
    return True


def without_doubles(decisions: Sequence[Decision]) -> List[Decision]:
    """Each line of the sources once."""
    found: Dict[Tuple[str, int], Decision] = {}
    for decision in decisions:
        found.setdefault((decision.source.file, decision.source.line), decision)
    return list(found.values())


def tell_change(scene: Scene, destination: str, changes: Iterator[Change], is_none: bool) -> None:
    """Which change of the tables it was that left no way to a destination; they come newest first.
    is_none: no route was found, not even one that refuses."""
    target = ipaddress.ip_address(destination)
    covering: List[Change] = []
    for change in changes:
        if target in change.network:
            covering.append(change)
            if change.kind in REFUSING if change.is_added else is_none:
                break
    scene.report.is_guess = True
    gone = {change.network for change in covering[:1] if not change.is_added}
    refusing = [change for change in covering if change.is_added and change.kind in REFUSING]
    if refusing and refusing[0].network not in gone:
        change = refusing[0]
        kind = ROUTE_TYPES[change.kind]
        scene.report.summary = f"the route to {change.network} is of the type {kind}"
    elif covering and not covering[0].is_added:
        change = covering[0]
        scene.report.summary = f"there is no route to {target}: the one to {change.network} was " \
                               "deleted"
    else:
        scene.report.summary = f"there is no route to {target}, and there never was one"
        return
    state = State(f"route {change.network}", "deleted" if not change.is_added else
                  ROUTE_TYPES.get(change.kind, str(change.kind)),
                  writer=scene.walker.describe(change.moment))
    scene.report.states.append(state)
    scene.report.notes.append("which route decided was found by the changes of the tables, not "
                              "by the tables themselves")


# --- headers ---

def explain_ttl(scene: Scene) -> bool:
    """ip_forward(), net/ipv4/ip_forward.c; ip6_forward(), net/ipv6/ip6_output.c; 6.1, 6.12."""
    for state in [item for decision in scene.report.decisions[:1] for item in decision.states]:
        if re.search(r"\.(ttl|hop_limit)$", state.name):
            scene.report.summary = f"the packet may go no further: its TTL is {state.value} here"
            state.note = "what its sender gave it, less one for each router before this"
            scene.report.states.append(state)
            return True
    return False


def explain_mtu(scene: Scene) -> bool:
    """ip_exceeds_mtu(), net/ipv4/ip_forward.c; ip6_pkt_too_big(), net/ipv6/ip6_output.c; 6.1,
    6.12."""
    if not any(re.match(r"ip_exceeds_mtu|ip6_pkt_too_big|ip_fragment|br_nf_ip_fragment",
                        decision.source.function) for decision in scene.report.decisions):
        return False
    states = {state.name: state for decision in scene.report.decisions for state in decision.states}
    mtus = [state for name, state in states.items() if name.lower().endswith("mtu")]
    lengths = [state for name, state in states.items() if name.endswith("->len")]
    if not mtus:
        return False
    mtu = mtus[0]
    length = f" of {lengths[0].value} bytes" if lengths else ""
    scene.report.summary = f"the packet{length} is longer than the {mtu.value} bytes that can be " \
                           "sent on, and must not be fragmented"
    mtu.writer = scene.walker.writer(mtu.address, mtu.size, scene.place)
    scene.report.states.append(mtu)
    scene.report.notes.append(icmp_fate(scene))
    return True


def icmp_fate(scene: Scene) -> str:
    """What became of the error message that told the sender of a drop."""
    event = scene.report.event
    for number in range(event.event - 1, max(0, event.event - 8), -1):
        sent = client.event(number)
        if sent.kind == "tx" and sent.node == event.node and sent.cause == event.cause:
            ends = [item for item in client.packet_events(sent.packet)
                    if item.kind in ("drop", "lost")]
            if ends:
                return (f"the sender was told so by packet {sent.packet}, which was "
                        f"{'dropped' if ends[0].kind == 'drop' else 'lost'} on {ends[0].where} at "
                        f"event {ends[0].event}: `why {sent.packet}`")
            return f"the sender was told so by packet {sent.packet}"
    return "the sender wasn't told"


def explain_checksum(scene: Scene) -> bool:
    """Any function that drops because a sum is wrong; links that invert bits are ours."""
    event = scene.report.event
    if "CSUM" not in scene.report.reason and \
            not any("csum" in state.name or "checksum" in state.name
                    for decision in scene.report.decisions[:1] for state in decision.states):
        return False
    scene.report.summary = "the packet's checksum is wrong"
    for number in [item for item in client.packet_events(event.packet) if item.kind == "rx"]:
        if number.hash:
            sent = client.event(number.cause)
            scene.report.summary += (f": the link from {sent.where} to {number.where} changed the "
                                     f"frame between event {sent.event} and event {number.event}")
            end = link_end(sent)
            device = end["device"] if end else "?"
            line = f", line {end['line']} of the scenario" if end else ""
            scene.report.states.append(State(
                f"link {sent.where}:{device}", f"the frame was changed (corrupt{line}, or what its "
                "events say)", place=(number.event, 0, 0)))
            return True
    scene.report.summary += ", and no link changed it: it was sent so"
    return True


# --- rules ---

def rule_of_chain(scene: Scene, chain: gdb.Value, handle: int) -> Optional[gdb.Value]:
    """The struct nft_rule with a handle."""
    head = int(chain["rules"].address)
    item = int(chain["rules"]["next"])
    for _ in range(65536):
        if item in (0, head):
            return None
        rule = cast(item, "struct nft_rule")
        if int(rule["handle"]) == handle:
            return rule
        item = int(rule["list"]["next"])
    return None


def last_rule(scene: Scene, index: int, chain: gdb.Value) -> Optional[int]:
    """The handle of the last rule that was looked at: the path through nft_do_chain() reads the
    head of each (struct nft_rule_dp), and what the rule does is inlined or called there."""
    handles: Dict[int, int] = {}
    for name in ("blob_gen_0", "blob_gen_1"):
        blob = chain[name]
        if not int(blob):
            continue
        address = int(blob["data"].address)
        end = address + int(blob["size"])
        while address < end:
            rule = cast(address, "struct nft_rule_dp")
            if int(rule["is_last"]):
                break
            handles[address] = int(rule["handle"])
            address += rule.type.target().sizeof + int(rule["dlen"])
    path = scene.walker.path_of(scene.calls[index], scene.place)
    for step in reversed(path.steps):
        if step.address in handles:
            return handles[step.address]
        # gcc reads the bits of the head by bytes.
        if step.address and step.address & ~7 in handles:
            return handles[step.address & ~7]
    return None


def explain_nftables(scene: Scene) -> bool:
    """nft_do_chain(), net/netfilter/nf_tables_core.c, 6.1 and 6.12."""
    index = scene.find("nft_do_chain")
    if index is None:
        return False
    chain = scene.variable(index, "chain") or scene.variable(index, "basechain")
    for outer in (index, index + 1):  # of the base chain, it is what the hook was given
        given = scene.variable(outer, "priv") if chain is None else None
        if given is not None and int(given):
            chain = cast(int(given), "struct nft_chain")
    if chain is None:  # 6.12 doesn't keep that either; the hook's entry has it
        entry = scene.variable(index + 2, "entry") if index + 2 < len(scene.calls) else None
        if entry is not None and int(entry):
            chain = cast(int(entry["priv"]), "struct nft_chain")
    if chain is None:
        scene.report.summary = "a rule of nftables dropped it"
        return True
    table, chain_name = text_of(chain["table"]["name"]), text_of(chain["name"])
    where = f"chain {chain_name} of table {table}"
    go_quietly(scene.place)
    if any("policy" in decision.source.text for decision in scene.report.decisions):
        base = gdb.lookup_type("struct nft_base_chain")
        offset = [item for item in base.fields() if item.name == "chain"][0].bitpos // 8
        policy = cast(int(chain) - offset, "struct nft_base_chain")["policy"]
        scene.report.summary = f"no rule of {where} of nftables took it, and its policy is drop"
        scene.report.states.append(scene.state(f"policy of {where}", "drop", policy))
        return True
    handle = last_rule(scene, index, chain)
    kept = rule_of_chain(scene, chain, handle) if handle else None
    if kept is None:
        scene.report.summary = f"{where} of nftables dropped it (its policy, or a rule of it)"
        return True
    scene.report.summary = f"a rule of nftables dropped it: handle {handle} in {where}"
    address = int(kept.address) if kept.address is not None else int(kept)
    moment = client.last_write(address + 16, 8, scene.place)
    writer = scene.walker.describe(moment) if moment is not None else None
    scene.report.states.append(State(f"rule {handle} in {where}", "drop", address + 16, 8,
                                     scene.place, writer))
    scene.report.decisions = [
        decision for decision in scene.report.decisions
        if decision.source.function.startswith("nft_do_chain")] or scene.report.decisions
    return True


# --- neighbours ---

def explain_neighbour(scene: Scene) -> bool:
    """neigh_timer_handler(), net/core/neighbour.c, 6.1 and 6.12."""
    index = scene.find("neigh_timer_handler")
    if index is None:
        return False
    scene.report.decisions = scene.decisions(index)
    inner = scene.find("neigh_invalidate")
    neighbour = scene.variable(index, "neigh")
    if neighbour is None and inner is not None:
        neighbour = scene.variable(inner, "neigh")
    if neighbour is None:
        scene.report.summary = "a neighbour didn't answer"
        return True
    table = neighbour["tbl"]
    key = address_text(memory(int(neighbour["primary_key"].address), int(table["key_len"])))
    device = text_of(neighbour["dev"]["name"])
    probes = neighbour["probes"]["counter"]
    scene.report.summary = (f"neighbour {key} on {device} stayed unresolved: no answer to "
                            f"{int(probes)} requests for its address")
    go_quietly(scene.place)
    scene.report.states.append(scene.state(f"neighbour {key} dev {device}: probes",
                                           str(int(probes)), probes))
    return True


# --- queues ---

def explain_qdisc(scene: Scene) -> bool:
    """__dev_xmit_skb(), net/core/dev.c, and what enqueues, 6.1 and 6.12."""
    index = scene.find("__dev_xmit_skb")
    if index is None or not re.search("QDISC|NOT_SPECIFIED", scene.report.reason):
        return False
    queue = scene.variable(index, "q")
    if queue is None:
        return False
    entry = int(queue["enqueue"])
    name = source_at(entry).function
    moment = client.last_call(entry, scene.place)
    if moment is not None:
        call = scene.walker.moment_call(moment)
        if call is not None:
            scene.report.decisions = scene.walker.outcome(call, moment, scene.place)
    go_quietly(scene.place)
    limit, waiting = queue["limit"], queue["q"]["qlen"]
    kind = text_of(queue["ops"]["id"])
    device = text_of(queue["dev_queue"]["dev"]["name"])
    scene.report.summary = (f"the queue of {device} is full: {kind} ({name}) holds {int(waiting)} "
                            f"packets, its limit is {int(limit)}")
    scene.report.states.append(scene.state(f"qdisc {kind} dev {device}: limit", str(int(limit)),
                                           limit))
    return True


# --- VLANs ---

def vlans_of(group: gdb.Value) -> List[int]:
    found: List[int] = []
    head = int(group["vlan_list"].address)
    item = int(group["vlan_list"]["next"])
    offset = [entry for entry in gdb.lookup_type("struct net_bridge_vlan").fields()
              if entry.name == "vlist"][0].bitpos // 8
    while item not in (0, head) and len(found) < 4096:
        vlan = cast(item - offset, "struct net_bridge_vlan")
        found.append(int(vlan["vid"]))
        item = int(vlan["vlist"]["next"])
    return found


def explain_vlan(scene: Scene) -> bool:
    """__allowed_ingress(), net/bridge/br_vlan.c, 6.1 and 6.12."""
    index = scene.find("__allowed_ingress", "br_allowed_ingress", "br_allowed_egress")
    if index is None:
        return False
    group, buffer = scene.variable(index, "vg"), buffer_of(scene)
    if group is None or buffer is None:
        scene.report.summary = "the bridge's port doesn't take frames of this VLAN"
        return True
    wanted = int(buffer["vlan_tci"]) & 0xfff
    device = text_of(buffer["dev"]["name"])
    vlans = vlans_of(group)
    scene.report.summary = (f"the bridge's port {device} doesn't take frames of VLAN {wanted}; it "
                            f"has {', '.join(str(vlan) for vlan in sorted(vlans)) or 'none'}")
    scene.report.states.append(scene.state(f"VLANs of {device}", str(len(vlans)),
                                           group["num_vlans"]))
    return True


# --- timers ---

def running_timer(scene: Scene) -> Optional[gdb.Value]:
    """struct timer_base, kernel/time/timer.c, 6.1 and 6.12: one CPU has a few of them."""
    index = scene.find("call_timer_fn")
    if index is None:
        return None
    frame = scene.frame(index)
    if frame is None:
        return None
    frame.select()
    symtab = frame.find_sal().symtab
    symbol = symtab.objfile.lookup_static_symbol("timer_bases") if symtab is not None else None
    if symbol is None:
        return None
    bases = symbol.value()
    low, high = bases.type.range()
    for number in range(low, high + 1):
        timer = bases[number]["running_timer"]
        if int(timer):
            return timer
    return None


def explain_timer(scene: Scene) -> bool:
    """Whatever an expired timer does."""
    index = scene.find("call_timer_fn")
    timer = running_timer(scene)
    if index is None or timer is None:
        return False
    function = scene.calls[index - 1].extent.name if index else "its function"
    expires = timer["expires"]
    state = scene.state(f"timer of {function}: expires", f"jiffy {int(expires)}", expires)
    waited = ""
    if state.writer is not None:
        waited_ns = scene.report.event.vtime_ns - state.writer.vtime_ns
        waited = f", {waited_ns / 1e9:.3f} s after it was set"
    scene.report.summary = f"a timer expired{waited}: {function}() gave up"
    inside = [decision for decision in scene.report.decisions
              if decision.source.function.split(".")[0] == function]
    scene.report.decisions = inside
    scene.report.states.append(state)
    if not inside:
        scene.report.decisions = [Decision(scene.calls[index - 1].source, scene.place, [],
                                           what="it always drops what it holds")]
    return True


# --- links ---

def link_end(sent: Event, at: int = 0) -> Optional[Dict[str, object]]:
    """The link's end that a frame was sent from, as it was at an event (0: the beginning): devices
    called ethN come first, by number."""
    if sent.node is None or sent.device is None:
        return None
    ends = client.links(sent.node, at)

    def rank(item: Tuple[int, Dict[str, object]]) -> Tuple[int, int]:
        match = re.fullmatch(r"eth(\d+)", str(item[1]["device"]))
        return (0, int(match.group(1))) if match else (1, item[0])

    ordered = [end for _, end in sorted(enumerate(ends), key=rank)]
    return ordered[sent.device] if sent.device < len(ordered) else None


def waiting(sent: Event) -> List[Event]:
    """Frames of the same device that hadn't arrived when this one was sent."""
    found: List[Event] = []
    for number in range(sent.event - 1, max(0, sent.event - 4096), -1):
        other = client.event(number)
        if sent.vtime_ns - other.vtime_ns > 10_000_000_000 or len(found) > 256:
            break
        if other.kind == "tx" and other.node == sent.node and other.device == sent.device:
            later = [item for item in client.packet_events(other.packet)
                     if item.cause == other.event and item.kind in ("rx", "lost")]
            if any(item.kind == "lost" for item in later):
                continue
            if later and later[0].vtime_ns <= sent.vtime_ns:
                break
            found.append(other)
    return found


LOSSES = {1: "random", 2: "queue", 3: "node down", 4: "too long", 5: "link down", 6: "codel",
          7: "scenario"}


def explain_loss(report: Report) -> None:
    """A link, which is the simulator's: docs/scenario.md."""
    sent = client.event(report.event.cause)
    end = link_end(sent, report.event.event)
    name = f"{sent.where}:{end['device']}" if end else f"a device of {sent.where}"
    where = f"the link at {name}"
    if report.event.value == 2 and end:
        frames = waiting(sent)
        report.summary = (f"the queue of {where} is full: {len(frames)} frames are on the wire or "
                          f"wait for it, and {end['queue_frames']} may wait")
        report.states.append(State(
            f"queue of {name}", f"{end['queue_frames']} frames at {end['rate_bps']} bit/s "
            f"(line {end['line']} of the scenario)", place=(sent.event, 0, 0)))
        if frames:
            report.notes.append("waiting: packets " +
                                ", ".join(str(frame.packet) for frame in reversed(frames)))
    elif report.event.value == 1 and end:
        report.summary = f"{where} lost it at random"
        report.states.append(State(f"loss of {name}", f"{float(str(end['loss_ppb'])) / 1e7:g}% "
                                   f"(line {end['line']} of the scenario)",
                                   place=(sent.event, 0, 0)))
    elif report.event.value == 3:
        report.summary = f"{where} leads to a node that had halted"
    elif report.event.value == 5:
        report.summary = f"{where} was down"
    elif report.event.value == 6:
        report.summary = f"CoDel keeps the queue of {where} short: frames waited too long in it"
    elif report.event.value == 4:
        report.summary = "the frame was longer than any frame can be"
    else:
        report.summary = f"{where} lost it: a function of the scenario's program took it"


EXPLAINERS: Sequence[Callable[[Scene], bool]] = (
    explain_neighbour, explain_qdisc, explain_nftables, explain_timer, explain_vlan,
    explain_rp_filter, explain_mtu, explain_ttl, explain_checksum, explain_route,
    explain_route6)


def explain(scene: Scene) -> None:
    """The first explainer that knows what this is; else what the walk found speaks for itself."""
    for explainer in EXPLAINERS:
        if explainer(scene):
            return
    report = scene.report
    states = [state for decision in report.decisions for state in decision.states
              if state.address and not decision.what]
    if states:
        state = states[-1]
        state.writer = scene.walker.writer(state.address, state.size, state.place or scene.place)
        report.states.append(state)
    report.is_guess = True
