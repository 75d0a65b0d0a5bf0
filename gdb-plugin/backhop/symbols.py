# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the functions of a kernel image begin and end, by its ELF symbol table. Plain: knows
nothing of gdb, whose Python tells no sizes and not which parts of a function lie elsewhere.
"""

import bisect
import struct
from dataclasses import dataclass
from typing import BinaryIO, Dict, List, Optional, Tuple

SHT_SYMTAB = 2
STT_FUNC = 2
COLD = ".cold"


@dataclass(frozen=True)
class Extent:
    """A function: offsets in the image."""

    name: str
    ranges: Tuple[Tuple[int, int], ...]  # its beginning first; behind it its cold part, if any

    @property
    def entry(self) -> int:
        return self.ranges[0][0]


def read_sections(stream: BinaryIO) -> List[Tuple[int, ...]]:
    header = stream.read(64)
    if len(header) != 64 or header[:6] != b"\x7fELF\x02\x01":
        return []
    offset, = struct.unpack_from("<Q", header, 40)
    size, count = struct.unpack_from("<HH", header, 58)
    if size != 64:
        return []
    stream.seek(offset)
    table = stream.read(size * count)
    return [struct.unpack_from("<IIQQQQIIQQ", table, at)
            for at in range(0, len(table) - size + 1, size)]


def read_functions(stream: BinaryIO) -> List[Tuple[int, int, str]]:
    """Start, end and name of each function; empty if the file has no symbols."""
    sections = read_sections(stream)
    for section in sections:
        if section[1] != SHT_SYMTAB or section[6] >= len(sections):
            continue
        stream.seek(section[4])
        symbols = stream.read(section[5])
        stream.seek(sections[section[6]][4])
        names = stream.read(sections[section[6]][5])
        found = []
        for name, info, _other, index, value, size in \
                struct.iter_unpack("<IBBHQQ", symbols[:len(symbols) // 24 * 24]):
            if info & 15 == STT_FUNC and index and size:
                end = names.find(b"\0", name)
                found.append((value, value + size, names[name:end].decode(errors="replace")))
        return sorted(found)
    return []


class Symbols:
    def __init__(self, functions: List[Tuple[int, int, str]]) -> None:
        self.functions = functions
        self.starts = [start for start, _, _ in functions]
        self.cold: Dict[str, Tuple[int, int]] = {}
        self.hot: Dict[str, Tuple[int, int]] = {}
        for start, end, name in functions:
            if name.endswith(COLD):
                self.cold.setdefault(name[:-len(COLD)], (start, end))
            else:
                self.hot.setdefault(name, (start, end))

    @staticmethod
    def open(path: str) -> "Symbols":
        try:
            with open(path, "rb") as stream:
                return Symbols(read_functions(stream))
        except (OSError, struct.error):
            return Symbols([])

    def at(self, offset: int) -> Optional[Extent]:
        """The function that has the code at an offset."""
        index = bisect.bisect_right(self.starts, offset) - 1
        if index < 0 or offset >= self.functions[index][1]:
            return None
        start, end, name = self.functions[index]
        if name.endswith(COLD):
            name = name[:-len(COLD)]
            if name not in self.hot:
                return None
            start, end = self.hot[name]
        ranges = ((start, end), self.cold[name]) if name in self.cold else ((start, end),)
        return Extent(name, ranges)

    def named(self, name: str) -> Optional[Extent]:
        """The function of this name, or what the compiler made of it (NAME.isra.0, …)."""
        if name in self.hot:
            return self.at(self.hot[name][0])
        for other in self.hot:
            if other.startswith(name + "."):
                return self.at(self.hot[other][0])
        return None
