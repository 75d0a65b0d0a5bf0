# SPDX-License-Identifier: GPL-2.0-or-later
"""What one call of a function decided, and from what. Plain: knows nothing of gdb.

The server takes a function's code apart (Instruction) and tells which way one call of it went
(Step), see docs/remote-protocol.md. From these: the branch that decided that an instruction was
reached, and the origins of the values that a branch compared. Used by reasons.py.
"""

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Union

Place = Tuple[int, int, int]  # event, tick, instruction

RAX, RCX, RDX, RSP, RBP, RSI, RDI = 0, 1, 2, 4, 5, 6, 7
FLAGS = 16
CALLER_SAVED = frozenset((RAX, RCX, RDX, RSI, RDI, 8, 9, 10, 11))
# Registers in which a function gets its arguments, in their order.
ARGUMENTS = (RDI, RSI, RDX, RCX, 8, 9)
EXIT = -1
# One condition has few origins; more are of no use to anybody.
MAX_ORIGINS = 16
# A value that was computed from more than this is no state, but a sum over a packet.
MAX_LOOKED_AT = 128


@dataclass(frozen=True)
class Instruction:
    pc: int
    length: int
    kind: str  # other, call, return, jump, branch, trap
    target: Optional[int]  # None: it isn't in the code
    reads: int  # bits of registers
    writes: int
    size: int  # of its memory operand; 0: it has none
    is_read: bool
    is_written: bool
    base: int
    immediate: Optional[int]

    @staticmethod
    def parse(data: Dict[str, Any]) -> "Instruction":
        return Instruction(data["pc"], data["length"], data["kind"], data.get("target"),
                           data["reads"], data["writes"], data.get("size", 0),
                           data.get("is_read", False), data.get("is_written", False),
                           data.get("base", 255), data.get("immediate"))

    @property
    def end(self) -> int:
        return self.pc + self.length

    def has_read(self, register: int) -> bool:
        return bool(self.reads >> register & 1)

    def has_written(self, register: int) -> bool:
        return bool(self.writes >> register & 1)


@dataclass(frozen=True)
class Step:
    """An instruction that was executed, as things were before it."""

    place: Place
    pc: int
    next: int  # the next instruction, also if it is another function's; 0: unknown
    rax: int
    address: int  # of its memory operand
    value: int  # what is there
    sp: int

    @staticmethod
    def parse(data: Sequence[int]) -> "Step":
        return Step((data[0], data[1], data[2]), *data[3:9])


@dataclass(frozen=True)
class Memory:
    """A value that was read from memory, outside the function's own variables."""

    step: int  # index of the step that read it
    address: int
    size: int
    value: int


@dataclass(frozen=True)
class Slot:
    """A variable of the function that lies on its stack and that something else filled."""

    step: int
    address: int
    size: int
    value: int


@dataclass(frozen=True)
class Result:
    """What a function returned."""

    step: int  # of the call
    value: int


@dataclass(frozen=True)
class Argument:
    """What the caller gave."""

    register: int


@dataclass(frozen=True)
class Constant:
    step: int
    value: Optional[int]


Origin = Union[Memory, Slot, Result, Argument, Constant]


class Function:
    """The code of a function; which instruction can follow which."""

    def __init__(self, instructions: Iterable[Instruction]) -> None:
        self.code: Dict[int, Instruction] = {item.pc: item for item in instructions}

    def _inside(self, pc: int) -> int:
        return pc if pc in self.code else EXIT

    def successors(self, instruction: Instruction, seen: Set[int]) -> List[int]:
        """seen: where an indirect jump led to as far as is known."""
        if instruction.kind == "return":
            return [EXIT]
        if instruction.kind == "trap":
            return []
        if instruction.kind == "jump":
            if instruction.target is not None:
                return [self._inside(instruction.target)]
            return [*sorted(self._inside(pc) for pc in seen), EXIT]
        if instruction.kind == "branch" and instruction.target is not None:
            return [self._inside(instruction.end), self._inside(instruction.target)]
        return [self._inside(instruction.end)]

    def escapes(self, goals: Set[int], jumps: Dict[int, Set[int]]) -> Set[int]:
        """The instructions from which the function can end without passing one of the goals."""
        before: Dict[int, List[int]] = {}
        for pc, instruction in self.code.items():
            if pc in goals:
                continue
            for after in self.successors(instruction, jumps.get(pc, set())):
                before.setdefault(after, []).append(pc)
        found: Set[int] = {EXIT}
        work = [EXIT]
        while work:
            for pc in before.get(work.pop(), []):
                if pc not in found:
                    found.add(pc)
                    work.append(pc)
        return found


class Path:
    """One call of a function, up to some position."""

    def __init__(self, function: Function, steps: Sequence[Step], is_complete: bool) -> None:
        self.function = function
        self.steps = [step for step in steps if step.pc in function.code]
        self.is_complete = is_complete

    @property
    def entry_sp(self) -> int:
        """The stack pointer at the entry; 0: the call wasn't seen."""
        return self.steps[0].sp if self.steps else 0

    def instruction(self, index: int) -> Instruction:
        return self.function.code[self.steps[index].pc]

    def _jumps(self) -> Dict[int, Set[int]]:
        jumps: Dict[int, Set[int]] = {}
        for index, step in enumerate(self.steps[:-1]):
            instruction = self.instruction(index)
            if instruction.kind == "jump" and instruction.target is None:
                jumps.setdefault(step.pc, set()).add(self.steps[index + 1].pc)
        return jumps

    def decider(self, goal: int, copies: Iterable[int] = ()) -> Optional[int]:
        """Index of the branch that decided that the step `goal` was reached: the last one whose
        other way could have missed it. None: the function always gets there. copies: instructions
        that do the same, because the compiler made two of one."""
        goals = {self.steps[goal].pc, *copies}
        escapes = self.function.escapes(goals, self._jumps())
        for index in range(goal - 1, -1, -1):
            instruction = self.instruction(index)
            taken = self.steps[index + 1].pc
            if taken not in goals and taken in escapes:
                continue
            if instruction.kind == "branch":
                if self.steps[index].pc in escapes:
                    return index
            elif instruction.kind == "jump" and instruction.target is None:
                return index
        return None

    # --- where values come from ---

    def condition(self, branch: int) -> List[Origin]:
        """The origins of what a branch compared."""
        if self.instruction(branch).kind == "jump":  # of a switch
            return self._trace([], [branch])
        return self._trace([(FLAGS, branch)], [])

    def origins(self, register: int, index: int) -> List[Origin]:
        """The origins of a register's value before the step."""
        return self._trace([(register, index)], [])

    def call_target(self, index: int) -> List[Origin]:
        """The origins of the address that an indirect call went to."""
        return self._trace([], [index])

    def stored(self, index: int) -> List[Origin]:
        """The origins of what a step wrote to memory."""
        instruction = self.instruction(index)
        wanted = [(register, index) for register in range(FLAGS)
                  if instruction.has_read(register) and register != RSP]
        return self._trace(wanted, []) if wanted else [Constant(index, instruction.immediate)]

    def _trace(self, wanted: List[Tuple[int, int]], taken: List[int]) -> List[Origin]:
        """The origins of registers before steps, and of what steps take."""
        found: Dict[Origin, None] = {}
        seen: Set[Tuple[int, int]] = set()
        for index in taken:
            wanted += self._inputs(index, found)
        while wanted and len(seen) < MAX_LOOKED_AT and len(found) < MAX_ORIGINS:
            item = wanted.pop(0)
            if item in seen:
                continue
            seen.add(item)
            maker = self._maker(item[0], item[1], found)
            if maker is not None and (FLAGS + 1, maker) not in seen:
                seen.add((FLAGS + 1, maker))
                wanted += self._inputs(maker, found)
        return list(found)

    def _maker(self, register: int, before: int, found: Dict[Origin, None]) -> Optional[int]:
        """The step that gave a register its value; None if that wasn't in this function."""
        for index in range(before - 1, -1, -1):
            instruction = self.instruction(index)
            if instruction.kind == "call":
                if register == RAX and index + 1 < len(self.steps):
                    found[Result(index, self.steps[index + 1].rax)] = None
                    return None
                if register in CALLER_SAVED or register == FLAGS:
                    return None
            elif instruction.has_written(register):
                return index
        if register in ARGUMENTS:
            found[Argument(register)] = None
        return None

    def _inputs(self, index: int, found: Dict[Origin, None]) -> List[Tuple[int, int]]:
        """What a step takes: registers to go on with; what isn't one is found."""
        instruction = self.instruction(index)
        wanted = [(register, index) for register in range(FLAGS + 1)
                  if instruction.has_read(register) and register != RSP]
        if instruction.size and instruction.is_read:
            wanted += self._memory(index, instruction, found)
        elif not wanted:
            found[Constant(index, instruction.immediate)] = None
        return wanted

    def _memory(self, index: int, instruction: Instruction,
                found: Dict[Origin, None]) -> List[Tuple[int, int]]:
        step = self.steps[index]
        if instruction.base not in (RSP, RBP):
            found[Memory(index, step.address, instruction.size, step.value)] = None
            return []
        for former in range(index - 1, -1, -1):
            writer = self.instruction(former)
            address = self.steps[former].address
            if writer.is_written and address <= step.address < address + writer.size:
                wanted = [(register, former) for register in range(FLAGS)
                          if writer.has_read(register) and register != RSP]
                if writer.is_read:
                    wanted += self._memory(former, writer, found)
                elif not wanted:
                    found[Constant(former, writer.immediate)] = None
                return wanted
        found[Slot(index, step.address, instruction.size, step.value)] = None
        return []


def returned(path: Path) -> Optional[int]:
    """Index of the return of a call that was followed to its end."""
    if path.steps and path.instruction(len(path.steps) - 1).kind == "return":
        return len(path.steps) - 1
    return None
