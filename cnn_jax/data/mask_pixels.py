"""What stands in mask files, and which class each value or colour stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.class_table import ClassTable, Colour
from cnn_jax.data.fields import VOID
from cnn_jax.data.images import Stored, UnreadableImage, at_depth, header, opened, turned
from cnn_jax.errors import UserError

MOST_CLASSES = 254
_MOST_UNNAMED = 64
"""More different values, without names for them, are no classes but greys."""
_GREYS = 64
"""Values from here on, with few others below, are greys such as 0, 128, 255 and not counted."""
_DARK, _BRIGHT = 64, 192
_NAMED = 10
_WHOLE_FLOATS = 2**24
"""Beyond this float32 does not hold every whole number."""


class Raw(NamedTuple):
    """A mask as it stands in its file.

    Attributes:
      values: (h, w) int32: values, indices of a palette, or 65536 red + 256 green + blue.
      colour: whether they are colours.
      palette: (n, 3) uint8 of a file that has one.
      pages: whether the file has several, of which this is the first.
    """

    values: np.ndarray
    colour: bool
    palette: np.ndarray | None
    pages: bool = False


def read_raw(file: Path | Stored) -> Raw:
    """What stands in a mask file: a palette's indices, grey values, or colours.

    A JPEG, whose values are blurred, may hold black and white only, which are read as 0 and 255.

    Raises:
      UnreadableImage: it is no image, a JPEG with other values, or holds what no mask holds.
    """
    values = at_depth(file, full_depth=False)
    if values is not None:  # a TIFF
        # Whole numbers of more than 16 bits are read as floats.
        if values.dtype.kind == "f" and (values != np.rint(values)).any():
            raise UnreadableImage(str(file), "holds fractions, and a mask holds whole numbers")
        if values.dtype.kind == "f" and np.abs(values).max() >= _WHOLE_FLOATS:
            raise UnreadableImage(
                str(file), f"holds values of {_WHOLE_FLOATS:,} and more, which no mask needs"
            )
        return _of_array(file, values)._replace(pages=header(file).pages)
    with opened(file) as stored:
        stored.load()
        turn = turned(stored)
        image = stored if turn is None else stored.transpose(turn)
        if image.mode == "P":
            palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
            return Raw(np.array(image).astype(np.int32), False, palette)
        if image.mode in ("1", "L", "I", "I;16", "RGB", "RGBA", "LA"):
            found = np.array(image)
        else:
            found = np.array(image.convert("RGB"))
        blurred = stored.format == "JPEG"
    found = found[..., None] if found.ndim == 2 else found
    if not blurred:
        return _of_array(file, found)
    found = found[..., :3]
    grey = found.mean(axis=-1)
    if ((grey > _DARK) & (grey < _BRIGHT)).mean() > 0.02:
        raise UnreadableImage(str(file), "is a JPEG, which blurs the values of a mask; give PNG")
    return Raw(np.where(grey < (_DARK + _BRIGHT) / 2, 0, 255).astype(np.int32), False, None)


def _of_array(file: Path | Stored, values: np.ndarray) -> Raw:
    """A mask of one channel, or of three that are the same or are colours; and transparency."""
    channels = values.shape[2]
    if channels > 4:
        raise UnreadableImage(str(file), f"has {channels} channels, and a mask has one or three")
    wide = values[..., : 1 if channels < 3 else 3].astype(np.int32)
    if (wide == wide[..., :1]).all():
        return Raw(wide[..., 0], False, None)
    if wide.max() > 255 or wide.min() < 0:
        raise UnreadableImage(str(file), "has colours beyond 0 to 255; give 8 bits")
    return Raw(wide[..., 0] * 65536 + wide[..., 1] * 256 + wide[..., 2], True, None)


class Content(NamedTuple):
    """What a mask holds, without its pixels.

    Attributes:
      shape: height and width.
      values: the different values, rising.
      colour: as of `Raw`.
      palette: as of `Raw`.
      pages: as of `Raw`.
    """

    shape: tuple[int, int]
    values: np.ndarray
    colour: bool
    palette: np.ndarray | None
    pages: bool = False


def content_of(raw: Raw) -> Content:
    """What a mask holds."""
    height, width = raw.values.shape
    return Content((height, width), np.unique(raw.values), raw.colour, raw.palette, raw.pages)


@dataclass(frozen=True)
class Coding:
    """Which class each value of a mask stands for.

    Attributes:
      names: of the k classes.
      values: (k,) what stands for them in files, to be written by.
      colours: of the classes; empty where none are known.
      known: the values of files, rising.
      codes: what each of these becomes: a place among the names, or `VOID`.
      by_colour: whether the values are colours.
      notes: what a user should know of it.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[Colour, ...]
    known: np.ndarray
    codes: np.ndarray
    by_colour: bool
    notes: tuple[str, ...]

    def coded(self, raw: Raw) -> np.ndarray:
        """The places (h, w) uint8 of the classes of a mask all of whose values are known."""
        values = in_colours(raw) if self.by_colour else raw.values
        return self.codes[np.searchsorted(self.known, values)]


def in_colours(raw: Raw) -> np.ndarray:
    """The values (h, w) of a mask as colours: 65536 red + 256 green + blue."""
    if raw.colour:
        return raw.values
    if raw.palette is not None:
        wide = raw.palette.astype(np.int32)
        return (wide @ np.array([65536, 256, 1]))[np.minimum(raw.values, len(wide) - 1)]
    return raw.values * (65536 + 256 + 1)


def coding_of(
    files: Sequence[Path | Stored],
    contents: Sequence[Content],
    table: ClassTable | None,
    ignore: Sequence[int] | None,
) -> Coding:
    """How the values of masks are read.

    Args:
      files: the masks.
      contents: what they hold.
      table: of the classes, if a file names them.
      ignore: values of which nothing is known; by default 255 where it is no class, and those of
        classes that are called void, unlabeled or ignore.

    Raises:
      UserError: masks hold values or colours of no class, or too many.
    """
    if any(each.colour for each in contents) or _palettes_tell(contents, table):
        if table is None or not table.colours:
            first = next(file for file, each in zip(files, contents, strict=True) if each.colour)
            raise UserError(
                f"the masks are in colour, such as {first}, and nothing says which colour is which "
                "class; write a classes.csv with the columns name, r, g, b beside them"
            )
        return _by_colour(files, contents, table, ignore)
    values = np.unique(np.concatenate([each.values for each in contents]))
    notes: list[str] = []
    if table is not None:
        names = dict(zip(table.values, table.names, strict=True))
        if ignore is None and table.void:
            called = ", ".join(f"{names[each]} ({each})" for each in table.void)
            notes.append(f"pixels of {called} are left out of loss and score, by the name")
        two = _two_greys(values, table)
        if two is not None:
            notes.append(f"the values {two[0]} and {two[1]} of the masks stand for 0 and 1")
            classes = {two[0]: table.names[0], two[1]: table.names[1]}
            void: set[int] = set(ignore or ())
        else:
            void = set(ignore) if ignore is not None else {*table.void, *({255} - set(names))}
            classes = {value: name for value, name in names.items() if value not in void}
            _check_known(files, contents, set(names) | void, table)
    else:
        void = set(ignore) if ignore is not None else _default_void(values)
        there = [value for value in values.tolist() if value not in void]
        classes = {value: f"class_{value}" for value in there}
        if len(there) > _MOST_UNNAMED:
            raise UserError(
                f"the masks hold {len(there)} different values, such as {_some(there)}, and no "
                "file names them: greys of smoothed masks are no classes. Write a classes.txt "
                "beside them with a name a line"
            )
        if there != list(range(len(there))):
            told = ", ".join(f"{value} for {place}" for place, value in enumerate(there))
            notes.append(f"values of the masks are taken for classes in their order: {told}")
    told_by_name = set(table.void) if table is not None and ignore is None else set()
    if left := sorted((void & set(values.tolist())) - told_by_name):
        told = ", ".join(map(str, left))
        notes.append(f"pixels of the value {told} are void: left out of loss and score")
    palette = _common_palette(contents)
    colours: tuple[Colour, ...] = ()
    if table is not None and table.colours:
        of = dict(zip(table.names, table.colours, strict=True))
        colours = tuple(of[name] for name in classes.values())
    elif palette is not None and max(classes, default=0) < len(palette):
        colours = tuple(_colour(palette[value]) for value in classes)
    return _coding(classes, void, values, colours, False, notes)


def _coding(
    classes: dict[int, str],
    void: set[int],
    values: np.ndarray,
    colours: tuple[Colour, ...],
    by_colour: bool,
    notes: list[str],
) -> Coding:
    if not classes:
        raise UserError("the masks hold no class: all of their pixels are void")
    if len(classes) > MOST_CLASSES:
        raise UserError(f"the masks have {len(classes)} classes; at most {MOST_CLASSES} are learnt")
    if len(classes) < 2:
        (name,) = classes.values()
        raise UserError(f"the masks hold one class, {name}: there is nothing to tell apart")
    known = np.array(sorted({*classes, *void, *values.tolist()}), np.int64)
    places = {value: place for place, value in enumerate(classes)}
    codes = np.array([places.get(value, VOID) for value in known.tolist()], np.uint8)
    return Coding(
        tuple(classes.values()),
        tuple(classes),
        colours,
        known,
        codes,
        by_colour,
        tuple(notes),
    )


def _by_colour(
    files: Sequence[Path | Stored],
    contents: Sequence[Content],
    table: ClassTable,
    ignore: Sequence[int] | None,
) -> Coding:
    packed = {r * 65536 + g * 256 + b: place for place, (r, g, b) in enumerate(table.colours)}
    wrong: dict[int, list[Path | Stored]] = {}
    every: set[int] = set()
    for file, each in zip(files, contents, strict=True):
        values = np.unique(in_colours(Raw(each.values, each.colour, each.palette))).tolist()
        every |= set(values)
        for value in set(values) - set(packed):
            wrong.setdefault(value, []).append(file)
    if wrong:
        colour = next(iter(wrong))
        told = f"{colour >> 16}, {colour >> 8 & 255}, {colour & 255}"
        count = len({file for of in wrong.values() for file in of})
        raise UserError(
            f"{count:,} masks hold {len(wrong):,} colours that {table.file} does not list, such as "
            f"{wrong[colour][0]} with {told}; add them, or save masks without smoothing (PNG)"
        )
    void = set(table.void if ignore is None else ignore)
    notes = []
    if void:
        named = dict(zip(table.values, table.names, strict=True))
        told = ", ".join(named.get(each, str(each)) for each in sorted(void))
        notes.append(f"pixels of {told} are left out of loss and score")
    kept = [place for place, value in enumerate(table.values) if value not in void]
    at = {place: value for value, place in packed.items()}
    found = _coding(
        {at[place]: table.names[place] for place in kept},
        set(packed) - {at[place] for place in kept},
        np.array(sorted(every)),
        tuple(table.colours[place] for place in kept),
        True,
        notes,
    )
    # Masks are written as indices, not as colours.
    values = tuple(table.values[place] for place in kept)
    return Coding(found.names, values, found.colours, found.known, found.codes, True, found.notes)


def _palettes_tell(contents: Sequence[Content], table: ClassTable | None) -> bool:
    """Whether palettes hold the colours of a table at other places than the classes' values."""
    if table is None or not table.colours:
        return False
    place_of = dict(zip(table.colours, table.values, strict=True))
    moved = False
    for each in contents:
        if each.palette is None or int(each.values.max()) >= len(each.palette):
            return False
        for value in each.values.tolist():
            colour = _colour(each.palette[value])
            if colour not in place_of:
                return False
            moved = moved or place_of[colour] != value
    return moved


def _default_void(values: np.ndarray) -> set[int]:
    """255, but where masks hold greys such as 0 and 255 that stand for classes."""
    others = [value for value in values.tolist() if value != 255]
    return {255} if len(others) > 1 and others[-1] < max(_GREYS, 2 * len(others)) else set()


def _two_greys(values: np.ndarray, table: ClassTable) -> tuple[int, int] | None:
    """The two values of masks that stand for two classes, such as 0 and 255."""
    if len(table.names) == 2 and len(values) == 2 and table.values == (0, 1) and values[1] > 1:
        return int(values[0]), int(values[1])
    return None


def _check_known(
    files: Sequence[Path | Stored], contents: Sequence[Content], known: set[int], table: ClassTable
) -> None:
    wrong = [
        (file, sorted(set(each.values.tolist()) - known))
        for file, each in zip(files, contents, strict=True)
    ]
    wrong = [(file, values) for file, values in wrong if values]
    if wrong:
        beyond = sorted({value for _, values in wrong for value in values})
        lines = [f"{file}: {_some(values)}" for file, values in wrong[:_NAMED]]
        lines += [f"and {len(wrong) - _NAMED:,} more"] * (len(wrong) > _NAMED)
        raise UserError(
            f"{len(wrong):,} masks hold values beyond the {len(table.names)} classes of "
            f"{table.file} ({_some(table.values)}): {_some(beyond)}\n  "
            + "\n  ".join(lines)
            + "\nName these classes there, or give their values to --data.masks.ignore."
        )


def _common_palette(contents: Sequence[Content]) -> np.ndarray | None:
    """The palette of the masks, where all have the same."""
    first = contents[0].palette
    if first is None or not first.any():
        return None
    for each in contents:
        if each.palette is None or each.palette.shape != first.shape:
            return None
        if (each.palette != first).any():
            return None
    return first


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (int(each) for each in values)
    return red, green, blue


def _some(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:8])) + ", ..." * (len(values) > 8)
