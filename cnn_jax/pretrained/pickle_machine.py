"""A reader of pickles that calls nothing in them.

A pickle is a program for a stack machine, and Python's own machine imports and calls what the
program names. This one knows the instructions that plain values need; a name outside a list is
refused, and a name on the list stands for a function of the reader's own.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cnn_jax.errors import UserError


@dataclass(frozen=True)
class Global:
    """A name that a pickle asks for, such as `collections.OrderedDict`; nothing is imported."""

    name: str


class _Mark:
    """Where on the stack a list of arguments begins."""


def run(
    stream: io.BytesIO,
    makers: Mapping[str, Callable[..., Any] | None],
    persistent: Callable[[Any], Any],
    source: str,
) -> Any:
    """The value of the pickle at the stream's position; the stream then stands behind it.

    Args:
      stream: the bytes.
      makers: what stands for each name that the pickle may ask for: a function that is applied
        to the pickled arguments, or None for a name that is never called.
      persistent: turns what the pickle says of an object kept outside it into that object.
      source: the file, for messages.

    Raises:
      UserError: the pickle asks for a name that is not on the list.
      ValueError, TypeError, KeyError, IndexError: it is damaged, or uses instructions that
        plain values do not need.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def marked() -> list[Any]:
        found = []
        while not isinstance(entry := stack.pop(), _Mark):
            found.append(entry)
        return found[::-1]

    argument: Any
    for opcode, argument, _ in pickletools.genops(stream):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_Mark())
            case "POP":
                stack.pop()
            case "BINPUT" | "LONG_BINPUT":
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
                count = int(opcode.name[-1])
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
                stack.append(_allowed(argument.replace(" ", "."), makers, source))
            case "STACK_GLOBAL":
                attribute, module = _expect(stack.pop(), str), _expect(stack.pop(), str)
                stack.append(_allowed(f"{module}.{attribute}", makers, source))
            case "BINPERSID":
                stack.append(persistent(stack.pop()))
            case "REDUCE":
                arguments = _expect(stack.pop(), tuple)
                maker = makers[_expect(stack.pop(), Global).name]
                if maker is None:
                    raise ValueError("a call of what is no function")
                stack.append(maker(*arguments))
            case "BUILD":
                # Attributes of a dictionary, such as the version numbers of a state dict.
                stack.pop()
                _expect(stack[-1], dict)
            case other:
                raise ValueError(f"the instruction {other}")
    raise ValueError("no end")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

_LITERALS = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
        "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
        "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip


def _allowed(name: str, makers: Mapping[str, Any], source: str) -> Global:
    if name not in makers:
        raise UserError(
            f"{source} is refused: it asks for {name}, which no weights need. Only state dicts "
            "of plain tensors are read, as torch.save(model.state_dict(), ...) writes them."
        )
    return Global(name)


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
    """Sets an item of a dictionary, if the key is a plain value.

    Raises:
      ValueError: it is not, or the target is no dictionary.
    """
    # Hashing a tuple of tuples of tuples can take for ever.
    if not isinstance(key, str | int | float | None):
        raise ValueError(f"a {type(key).__name__} as a key")
    _expect(target, dict)[key] = value
