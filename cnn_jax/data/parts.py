"""The parts of a run's data, remembered by what their examples hold.

A part that is cut by position is another one when the files have changed. What was learnt from
must be known for as long as the run is: so a digest of each example lies beside the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from zipfile import BadZipFile

import numpy as np
import PIL

from cnn_jax.data.contents import UNREADABLE, Kind, digests, kind_of, target_codes
from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.joined import gathered
from cnn_jax.errors import UserError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Parts:
    """What the examples of a set's parts hold.

    Attributes:
      kind: what is digested.
      digests: (n,) uint64 of each part, in its order.
      labels: (n,) int32 of each part, see `cnn_jax.data.contents.target_codes`.
      place: where the set lay.
      reader: what decoded the pixels.
    """

    kind: Kind
    digests: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    place: str
    reader: str

    @classmethod
    def of(cls, dataset: Dataset, kind: Kind | None = None) -> Parts:
        """Those of a data set.

        Args:
          dataset: with all its parts.
          kind: what is digested, by default as suits the set.
        """
        parts = parts_of(dataset)
        kind = kind or kind_of(list(parts.values()))
        return cls.now(
            kind,
            {name: digests(part, kind) for name, part in parts.items()},
            {name: target_codes(part.targets) for name, part in parts.items()},
            dataset.source,
        )

    @classmethod
    def now(
        cls,
        kind: Kind,
        digests: dict[str, np.ndarray],
        labels: dict[str, np.ndarray],
        place: str,
    ) -> Parts:
        """Those that were read by what decodes images here."""
        return cls(kind, digests, labels, place, f"Pillow {PIL.__version__}")

    def only(self, part: str) -> Parts:
        """One of the parts alone."""
        return dataclasses.replace(
            self, digests={part: self.digests[part]}, labels={part: self.labels[part]}
        )

    @classmethod
    def read(cls, file: Path) -> Parts | None:
        """Those that `write` has stored; None where there is no such file.

        Raises:
          UserError: it cannot be read, or is damaged.
        """
        try:
            with np.load(file) as stored:
                names = [name for name in PARTS if f"{name}_digests" in stored]
                return cls(
                    cast(Kind, str(stored["kind"])),
                    {name: stored[f"{name}_digests"] for name in names},
                    {name: stored[f"{name}_labels"].astype(np.int32) for name in names},
                    str(stored["place"]),
                    str(stored["reader"]),
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(
                f"{file} cannot be read ({error}). It tells which examples the run has learnt "
                "from; without it nothing can be checked: remove it to go on so"
            ) from None

    def write(self, file: Path) -> None:
        """Stores them so that the file is either the old one or the whole new one."""
        arrays = {
            "kind": np.array(self.kind),
            # Numpy stores texts in a way that knows no bytes outside of UTF-8.
            "place": np.array(self.place.encode(errors="replace").decode()),
            "reader": np.array(self.reader),
        }
        for name in self.digests:
            arrays[f"{name}_digests"] = self.digests[name]
            arrays[f"{name}_labels"] = self.labels[name]
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as out:
                np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
                out.flush()
                os.fsync(out.fileno())
            partial.replace(file)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def all(self) -> np.ndarray:
        """The digests of all parts, one after the other."""
        return np.concatenate(list(self.digests.values()))

    def keys(self) -> np.ndarray:
        """The same with the labels mixed in."""
        labels = np.concatenate(list(self.labels.values())).astype(np.uint64)
        return self.all() ^ ((labels + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))

    def counts(self) -> dict[str, int]:
        """How many examples each part has."""
        return {name: len(found) for name, found in self.digests.items()}

    def same(self, other: Parts) -> bool:
        """Whether the parts hold the same, in the same order."""
        return self.counts() == other.counts() and np.array_equal(self.keys(), other.keys())

    def changes(self, now: Parts, *, partly: bool = False) -> str:
        """What has come, gone or another class since, in words; empty if nothing has.

        Args:
          now: the parts as they are.
          partly: whether the run left out examples, so that what is new cannot be told.
        """
        then, found = self.all(), now.all()
        missing = matched(then, found) < 0
        new = 0 if partly else int(((matched(found, then) < 0) & (found != UNREADABLE)).sum())
        gone = int(missing.sum())
        renamed = int((matched(self.keys(), now.keys()) < 0).sum()) - gone
        told = (
            (gone, "no longer there, or changed"),
            (new, "new, or changed"),
            (renamed, "of another class or target"),
        )
        return ", ".join(f"{count:,} are {what}" for count, what in told if count > 0)

    def mostly_lost(self, now: Parts) -> bool:
        """Whether less than half of the examples are there now."""
        return 2 * int((matched(self.all(), now.all()) >= 0).sum()) < len(self.all())

    def twins(self) -> str:
        """How many held-out examples have a copy that is learnt from, in words; empty if none."""
        if self.kind == "names":
            return ""
        found = []
        for name in ("validation", "test"):
            if name in self.digests:
                seen = self.digests[name] != UNREADABLE
                count = int((np.isin(self.digests[name], self.digests["train"]) & seen).sum())
                if count:
                    found.append(f"{count:,} of the {len(seen):,} {name} examples")
        return f"{' and '.join(found)} are learnt from too, as copies" if found else ""

    def applied(self, dataset: Dataset) -> Dataset | None:
        """The data set with the examples of these parts, in their order.

        Names and places of files do not count, only what they hold.

        Args:
          dataset: as it was read, with no part cut from it or with one.

        Returns:
          None where an example is not there, or has another class.
        """
        given = parts_of(dataset)
        places = matched(self.keys(), Parts.of(dataset, self.kind).keys())
        if (places < 0).any():
            return None
        ends = np.cumsum(list(self.counts().values()))[:-1]
        split = dict(zip(self.digests, np.split(places, ends), strict=True))
        parts = {name: gathered(list(given.values()), split[name]) for name in split}
        return dataclasses.replace(
            dataset,
            train=parts["train"],
            validation=parts.get("validation"),
            test=parts.get("test"),
        )


def parts_of(dataset: Dataset) -> dict[str, Examples]:
    """The parts that a data set has, by name."""
    found = {name: getattr(dataset, name) for name in PARTS}
    return {name: part for name, part in found.items() if part is not None}


def matched(wanted: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The place (m,) of each of the wanted among what is there, -1 where it is not.

    What is there once is found once: of several that are equal each takes the next place.

    Args:
      wanted: (m,) uint64.
      there: (n,) uint64.
    """
    if not len(there):
        return np.full(len(wanted), -1)
    order = np.argsort(there, kind="stable")
    rising = there[order]
    turn = np.argsort(wanted, kind="stable")
    alike = wanted[turn]
    rank = np.empty(len(wanted), np.int64)
    rank[turn] = np.arange(len(wanted)) - np.searchsorted(alike, alike, "left")
    places = np.searchsorted(rising, wanted, "left") + rank
    found = places < np.searchsorted(rising, wanted, "right")
    return np.where(found, order[np.minimum(places, len(there) - 1)], -1)


def contained(found: np.ndarray, known: Sequence[np.ndarray]) -> np.ndarray:
    """Which (n,) bool of some digests are among others; what cannot be read is in none."""
    return np.isin(found, np.concatenate(list(known))) & (found != UNREADABLE)
