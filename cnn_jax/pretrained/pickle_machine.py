"""A reader of pickles that calls nothing in them.

A pickle is a program for a stack machine, and Python's own machine imports and calls what the
program names. This one knows the instructions that plain values need; a name outside a list is
refused, and a name on the list stands for a function of the reader's own.

A short program can also be a long task, so that each instruction takes no longer than its own
bytes or a small constant, and their count has a bound: arguments of a call are few, keys are short
texts, whole numbers have at most 255 bytes, and what is remembered is numbered in turn.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.pretrained.tensors import LONGEST_NAME, shown

MOST_INSTRUCTIONS = 2_000_000
"""Of a pickle; a tensor takes about forty, a number of a list one."""


@dataclass(frozen=True)
class Global:
    """A name that a pickle asks for, such as `collections.OrderedDict`; nothing is imported."""

    name: str


@dataclass(frozen=True)
class Maker:
    """What stands for a function that a pickle may call.

    Attributes:
      function: takes the pickled arguments.
      fewest: how many of them it needs.
      most: how many it takes.
    """

    function: Callable[..., Any]
    fewest: int
    most: int


class _Mark:
    """Where on the stack a list of arguments begins."""


def run(
    stream: io.BytesIO,
    makers: Mapping[str, Maker | None],
    persistent: Callable[[Any], Any],
    source: str,
) -> Any:
    """The value of the pickle at the stream's position; the stream then stands behind it.

    Args:
      stream: the bytes.
      makers: what stands for each name that the pickle may ask for, or None for a name that is
        never called.
      persistent: turns what the pickle says of an object kept outside it into that object.
      source: the file, for messages.

    Raises:
      UserError: the pickle asks for a name that is not on the list, or is too long.
      ValueError, LookupError, OverflowError, struct.error: it is damaged, or uses instructions
        that plain values do not need.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def marked() -> list[Any]:
        found = []
        while not isinstance(entry := stack.pop(), _Mark):
            found.append(entry)
        return found[::-1]

    argument: Any
    for _ in range(MOST_INSTRUCTIONS):
        instruction, argument = _next(stream)
        match instruction:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_Mark())
            case "POP":
                stack.pop()
            case "BINPUT" | "LONG_BINPUT":
                # Python counts from 0, or from 1 long ago. Numbers chosen to collide in a
                # dictionary would make each search as long as all before it.
                if argument > len(memo) + 1:
                    raise ValueError(f"something remembered as number {argument}")
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _LITERALS:
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(instruction[-1])
                if len(stack) < count:
                    raise ValueError("a tuple of more values than there are")
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE":
                stack.append(tuple(marked()))
            case "APPEND":
                values = [stack.pop()]
                _expect(stack[-1], list).extend(values)
            case "APPENDS":
                values = marked()
                _expect(stack[-1], list).extend(values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _set_items(stack[-1], [key, value])
            case "SETITEMS":
                values = marked()
                _set_items(stack[-1], values)
            case "GLOBAL":
                module, attribute = argument
                stack.append(_allowed(module, attribute, makers, source))
            case "STACK_GLOBAL":
                attribute, module = _expect(stack.pop(), str), _expect(stack.pop(), str)
                stack.append(_allowed(module, attribute, makers, source))
            case "BINPERSID":
                stack.append(persistent(stack.pop()))
            case "REDUCE":
                arguments = _expect(stack.pop(), tuple)
                stack.append(_call(_expect(stack.pop(), Global).name, arguments, makers))
            case "BUILD":
                # Attributes of a dictionary, such as the version numbers of a state dict.
                stack.pop()
                _expect(stack[-1], dict)
    raise UserError(
        f"{source} is refused: its pickle has more than {MOST_INSTRUCTIONS:,} instructions. Save "
        "the state dict alone, with torch.save(model.state_dict(), ...)."
    )


def _next(stream: io.BytesIO) -> tuple[str, Any]:
    """The next instruction with its argument, which is read only if the instruction is known."""
    code = stream.read(1)
    if not code:
        raise ValueError("no end")
    opcode = _OPCODES.get(code.decode("latin-1"))
    if opcode is None or opcode.name not in _INSTRUCTIONS:
        raise ValueError(
            f"the instruction {code!r}" if opcode is None else f"the instruction {opcode.name}"
        )
    if opcode.name == "GLOBAL":  # pickletools would take backslashes for escapes
        return opcode.name, (_line(stream), _line(stream))
    return opcode.name, None if opcode.arg is None else opcode.arg.reader(stream)


def _line(stream: io.BytesIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a line without an end")
    return line[:-1].decode()


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

_LITERALS = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
        "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
        "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip


_INSTRUCTIONS = frozenset(
    {
        *_CONSTANTS, *_LITERALS, "PROTO", "FRAME", "STOP", "MARK", "POP",
        "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET",
        "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE",
        "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
        "GLOBAL", "STACK_GLOBAL", "BINPERSID", "REDUCE", "BUILD",
    }
)  # fmt: skip


def _allowed(module: str, attribute: str, makers: Mapping[str, Any], source: str) -> Global:
    # Two long texts that stand in a file once could be put together any number of times.
    if max(len(module), len(attribute)) > LONGEST_NAME:
        raise ValueError(f"a name of more than {LONGEST_NAME:,} characters")
    name = f"{module}.{attribute}"
    if name not in makers:
        raise UserError(
            f"{source} is refused: it asks for {shown(name)}, which no weights need. Only state "
            "dicts of plain tensors are read, as torch.save(model.state_dict(), ...) writes them."
        )
    return Global(name)


def _call(name: str, arguments: tuple[Any, ...], makers: Mapping[str, Maker | None]) -> Any:
    maker = makers[name]
    if maker is None:
        raise ValueError(f"a call of {name}, which is no function")
    # Before they are unpacked: a short pickle could have a long tuple copied any number of times.
    if not maker.fewest <= len(arguments) <= maker.most:
        raise ValueError(f"a call of {name} with {len(arguments)} arguments")
    return maker.function(*arguments)


def _expect(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _set_items(target: Any, values: list[Any]) -> None:
    if len(values) % 2:
        raise ValueError("a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        set_item(target, key, value)


def set_item(target: Any, key: Any, value: Any) -> None:
    """Sets an item of a dictionary; keys that are no texts, such as numbers, become them.

    Raises:
      ValueError: the key is no plain or no short value, or the target is no dictionary.
    """
    # Hashing a tuple of tuples of tuples can take for ever. Whole numbers can be chosen so that
    # all of them collide, texts cannot; but long equal ones are compared in full each time.
    if not isinstance(key, str | int | float | None):
        raise ValueError(f"a {type(key).__name__} as a key")
    if isinstance(key, int) and key.bit_length() > 64:
        raise ValueError("a whole number of more than 64 bits as a key")
    name = str(key)
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a key of more than {LONGEST_NAME:,} characters")
    _expect(target, dict)[name] = value
