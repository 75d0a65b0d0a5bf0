# SPDX-License-Identifier: GPL-2.0-or-later
"""What a place in a kernel's memory is called, as seen from a stopped function.

A field of a structure has no name of its own; it is what some pointer within reach of the
function's variables leads to: `in_dev->cnf.data[7]`. The search goes from the variables along
pointers, breadth first, so that the shortest name is found. Used by reasons.py.
"""

import re
from typing import Iterator, List, Optional, Set, Tuple

import gdb

# Structures that are looked into, and how many pointers a name may have.
MAX_STRUCTURES = 600
MAX_DEPTH = 3
# Frames whose variables count: a function and what it is inlined into, and some callers.
MAX_FRAMES = 6
METRICS = {1: "RTAX_LOCK", 2: "RTAX_MTU", 3: "RTAX_WINDOW", 8: "RTAX_ADVMSS", 10: "RTAX_HOPLIMIT"}
METRICS_BYTES = 17 * 4
# Pointers that lead everywhere and so make long names that say nothing.
DULL = frozenset(("next", "prev", "parent", "qdisc_hash", "nd_net", "module", "owner", "init_net"))
ETHERTYPES = {0x0008: "iphdr", 0xdd86: "ipv6hdr"}
PROTOCOLS = {6: "tcphdr", 17: "udphdr", 1: "icmphdr", 58: "icmp6hdr"}

Named = Tuple[str, gdb.Value]


def struct_of(kind: gdb.Type) -> Optional[gdb.Type]:
    stripped = kind.strip_typedefs()
    if stripped.code == gdb.TYPE_CODE_PTR:
        target = stripped.target().strip_typedefs()
        if target.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and target.sizeof:
            return target
    return None


def variables(frame: gdb.Frame) -> Iterator[Named]:
    """The variables and arguments that can be read in a frame, the innermost block's first."""
    seen: Set[str] = set()
    current: Optional[gdb.Frame] = frame
    for _ in range(MAX_FRAMES):
        if current is None or not current.is_valid():
            return
        try:
            block: Optional[gdb.Block] = current.block()
        except RuntimeError:
            return
        while block is not None and not block.is_global and not block.is_static:
            for symbol in block:
                if (symbol.is_variable or symbol.is_argument) and symbol.name not in seen:
                    value = read_variable(symbol, current)
                    if value is not None:
                        seen.add(symbol.name)
                        yield symbol.name, value
            if block.function is not None:
                break
            block = block.superblock
        current = current.older()


def read_variable(symbol: gdb.Symbol, frame: gdb.Frame) -> Optional[gdb.Value]:
    try:
        value = symbol.value(frame)
        if value.is_optimized_out:
            return None
        value.fetch_lazy()
        return value
    except gdb.error:
        return None


# Of several bits in one byte, the one that the statement names is meant.
hint = ""


def field_at(value: gdb.Value, offset: int, size: int) -> str:
    """The path of the field that lies at an offset of a structure or array: `.dst.error`."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ARRAY:
        element = kind.target()
        if not element.sizeof:
            return ""
        index = offset // element.sizeof
        low, high = kind.range()
        if high >= low and low + index > high:
            return ""
        inner = field_at(value[low + index], offset % element.sizeof, size) \
            if element.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION,
                                                 gdb.TYPE_CODE_ARRAY) else ""
        return f"[{low + index}]{inner}"
    if kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return ""
    best = ""
    for field in kind.fields():
        if not hasattr(field, "bitpos") or field.bitpos is None:
            continue
        start = field.bitpos // 8
        length = field.type.strip_typedefs().sizeof
        if field.bitsize and field.name and start <= offset < start + max(1, length):
            if not best or field.name in re.findall(r"\w+", hint):
                best = f".{field.name}"
        elif start <= offset < start + length:
            inner = field_at(value[field], offset - start, size)
            if best.lstrip(".") in re.findall(r"\w+", hint):
                continue
            name = (f".{field.name}" if field.name else "") + inner
            if name and (not best or field.type.strip_typedefs().sizeof == size):
                best = name
                if kind.code == gdb.TYPE_CODE_STRUCT:
                    return best
    return best


def pointers(value: gdb.Value, path: str) -> Iterator[Named]:
    """The pointers that lie in a structure, those of structures inside it too."""
    for field in value.type.strip_typedefs().fields():
        if not hasattr(field, "bitpos") or field.bitsize:
            continue
        kind = field.type.strip_typedefs()
        name = f"{path}.{field.name}" if field.name else path
        if struct_of(kind) is not None:
            if field.name not in DULL:
                yield name, value[field]
        elif kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            yield from pointers(value[field], name)


def route_of(buffer: gdb.Value) -> Optional[Named]:
    """The route that a socket buffer carries, whose pointer is kept with a flag in it."""
    address = int(buffer["_skb_refdst"]) & ~1
    name = {0x0008: "rtable", 0xdd86: "rt6_info"}.get(int(buffer["protocol"]))
    if not address or name is None:
        return None
    return name, gdb.Value(address).cast(gdb.lookup_type(f"struct {name}").pointer())


def packet_field(buffer: gdb.Value, address: int, size: int) -> Optional[str]:
    """What a byte of the packet itself is: `iphdr.ttl`."""
    head = int(buffer["head"])
    end = head + int(buffer["end"])
    shared = gdb.lookup_type("struct skb_shared_info")
    if end <= address < end + shared.sizeof:
        value = gdb.Value(end).cast(shared.pointer()).dereference()
        return f"skb_shinfo(skb)->{field_at(value, address - end, size).lstrip('.')}"
    if not head <= address < end:
        return None
    network = head + int(buffer["network_header"])
    transport = head + int(buffer["transport_header"])
    headers: List[Tuple[int, Optional[str]]] = []
    outer = ETHERTYPES.get(int(buffer["protocol"]))
    if outer is not None:
        headers.append((network, outer))
        kind = gdb.lookup_type(f"struct {outer}").pointer()
        protocol = int(gdb.Value(network).cast(kind)["protocol" if outer == "iphdr" else "nexthdr"])
        headers.append((transport, PROTOCOLS.get(protocol)))
    for start, name in headers:
        if name is None or not start <= address:
            continue
        header = gdb.lookup_type(f"struct {name}")
        if address < start + header.sizeof:
            value = gdb.Value(start).cast(header.pointer()).dereference()
            return f"the packet's {name}{field_at(value, address - start, size)}"
    return f"byte {address - int(buffer['data'])} of the packet"


def metric_of(route: gdb.Value, name: str, address: int) -> Optional[str]:
    """A metric of a route, whose pointer has flags in its last bits."""
    base = int(route["dst"]["_metrics"]) & ~3
    if not base or not base <= address < base + METRICS_BYTES:
        return None
    number = (address - base) // 4 + 1
    return f"{name}->dst metric {METRICS.get(number, str(number))}"


class Search:
    """One search for the name of an address."""

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size
        self.seen: Set[Tuple[int, str]] = set()
        self.packet: Optional[str] = None

    def look(self, name: str, pointer: gdb.Value) -> Optional[str]:
        """The address's name, if it lies in what the pointer leads to."""
        kind = struct_of(pointer.type)
        base = int(pointer)
        if kind is None or not base:
            return None
        value = pointer.dereference()
        if kind.name == "sk_buff" and self.packet is None:
            self.packet = packet_field(value, self.address, self.size)
        if kind.name in ("rtable", "rt6_info"):
            metric = metric_of(value, name, self.address)
            if metric is not None:
                return metric
        if base <= self.address < base + kind.sizeof:
            field = field_at(value, self.address - base, self.size)
            if field:
                return f"{name}->{field.lstrip('.')}" if field[0] == "." else f"(*{name}){field}"
        return None

    def next_level(self, level: List[Named]) -> Iterator[Named]:
        for name, pointer in level:
            kind = struct_of(pointer.type)
            key = (int(pointer), str(kind))
            if not int(pointer) or key in self.seen or len(self.seen) > MAX_STRUCTURES:
                continue
            self.seen.add(key)
            value = pointer.dereference()
            if kind is not None and kind.name == "sk_buff":
                route = route_of(value)
                if route is not None:
                    yield f"skb_{route[0]}({name})", route[1]
            for path, inner in pointers(value, ""):
                yield f"{name}->{path.lstrip('.')}", inner

    def run(self, start: List[Named]) -> Optional[str]:
        level = [(name, value) for name, value in start if struct_of(value.type) is not None]
        for _ in range(MAX_DEPTH):
            following: List[Named] = []
            for name, pointer in level:
                try:
                    found = self.look(name, pointer)
                except gdb.error:
                    continue
                if found or self.packet:
                    return self.packet or found
            try:
                for item in self.next_level(level):
                    following.append(item)
            except gdb.error:
                pass
            level = following
        return None


def static_name(address: int, size: int) -> Optional[str]:
    """The name of a variable that isn't in a function, with its field."""
    told: str = gdb.execute(f"info symbol {address:#x}", to_string=True)
    match = re.match(r"(\S+)(?: \+ (\d+))? in section (\S+)", told)
    if not match:
        return None
    name, offset = match.group(1), int(match.group(2) or 0)
    try:
        value = gdb.parse_and_eval(f"*(char *){address - offset:#x}")
        symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
        if symbol is not None and symbol.type is not None:
            value = gdb.Value(address - offset).cast(symbol.type.pointer()).dereference()
            return name + field_at(value, offset, size)
    except gdb.error:
        pass
    return name if not offset else f"{name}+{offset}"


def name_of(address: int, size: int, frame: gdb.Frame, statement: str) -> Optional[str]:
    """statement: what reads it, for a choice among several names."""
    global hint
    hint = statement
    static = static_name(address, size)
    if static is not None:
        return static
    start = list(variables(frame))
    for name, value in start:
        if value.type.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) \
                and value.address is not None:
            base = int(value.address)
            if base <= address < base + value.type.sizeof:
                return name + field_at(value, address - base, size)
    return Search(address, size).run(start)
