"""Image files in folders, found by the names that lists and tables have for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from cnn_jax.data.signatures import verdict
from cnn_jax.errors import UserError

T = TypeVar("T")

PARTS = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
"""What a part may be called by files and folders."""

_NAMED = 5


def visible(folder: Path) -> list[Path]:
    """What is in a folder by name, but for the hidden.

    Raises:
      UserError: it cannot be looked into.
    """
    try:
        found = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from None
    return sorted(found, key=lambda each: each.name)


def folder_called(top: Path, *names: str) -> Path | None:
    """The folder in another that has one of these names, whatever their case."""
    folders = [each for each in visible(top) if each.is_dir()]
    for name in names:
        for each in folders:
            if each.name.lower() == name.lower():
                return each
    return None


def images_in(folder: Path) -> list[Path]:
    """The files of a folder that are images, or may be damaged ones, by name."""
    return [each for each in visible(folder) if each.is_file() and verdict(each) != "no image"]


def checked_parts(parts: dict[str, list[T]], name: str, notes: list[str]) -> dict[str, list[T]]:
    """The parts in order, the validation part being the test where there is no other.

    Args:
      parts: by name.
      name: of the set.
      notes: what there is to say is added to them.

    Raises:
      UserError: there is nothing to learn from, or a part is empty.
    """
    if "train" not in parts:
        there = f"only {', '.join(parts)}" if parts else "none"
        raise UserError(f"{name} has no part train to learn from: {there}")
    for part, found in parts.items():
        if not found:
            raise UserError(
                f"the part {part} of {name} holds no images; put some there, or remove it"
            )
    if "test" not in parts and "validation" in parts:
        parts = {**parts, "test": parts["validation"]}
        del parts["validation"]
        notes.append("the validation part is the test: there is no test part")
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def missing(files: Iterable[str], where: str, name: str, skip_bad: bool) -> str:
    """The note of images that are named but not there.

    Args:
      files: those.
      where: what names them.
      name: of the set.
      skip_bad: whether they may be left out.

    Raises:
      UserError: they may not.
    """
    listed: Sequence[str] = list(files)
    count = f"{len(listed):,} image{'s' * (len(listed) != 1)}"
    more = f" and {len(listed) - _NAMED:,} more" * (len(listed) > _NAMED)
    what = f"{count} of {where} not there: {', '.join(listed[:_NAMED])}{more}"
    if not skip_bad:
        raise UserError(f"{name} has {what}; bring them, or give --data.skip-bad to leave them out")
    return f"left out {what}"
