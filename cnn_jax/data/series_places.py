"""Which files `series:PATH` stands for."""

from __future__ import annotations

import re
from pathlib import Path

from cnn_jax.data.series_files import SUFFIXES
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_NAMED = re.compile(r"(?i)(?:(.*?)[ _.-]+)?(train|training|test|val|valid|validation|dev)")
_PARTS = {"tr": "train", "te": "test", "va": "validation", "de": "validation"}


def find_series(
    path: str | Path, name: str, notes: list[str], *, judged: bool = False
) -> dict[str, Path]:
    """The file of each part that lies at a path, see `load_series`; what is passed over is noted.

    Raises:
      UserError: there is none, or several sets lie there.
    """
    place = user_path(path)
    if place.is_file():
        if place.suffix.lower() not in SUFFIXES:
            raise UserError(f"{name}: series are read from {', '.join(SUFFIXES)} and .npz files")
        beside = [
            file for file in place.parent.iterdir() if file != place and _same_set(file, place)
        ]
        if beside:
            others = ", ".join(sorted(file.name for file in beside))
            notes.append(
                f"only {place.name} is read; {others} lies beside it: series:{place.parent} reads "
                "them together"
            )
        return {"train": place}
    folder, wanted = (place, None) if place.is_dir() else (place.parent, place.name)
    sets: dict[str, dict[str, dict[str, Path]]] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _NAMED.fullmatch(file.stem)
        if match and file.suffix.lower() in SUFFIXES:
            forms = sets.setdefault(match[1] or "", {}).setdefault(file.suffix.lower(), {})
            forms[_PARTS[match[2].lower()[:2]]] = file
    if not judged:
        sets = {
            stem: kept
            for stem, forms in sets.items()
            if (kept := {suffix: each for suffix, each in forms.items() if "train" in each})
        }
    if wanted is not None and wanted not in sets:
        raise UserError(
            f"{name}: there is no {path}: no file, no folder, and no {wanted}_TRAIN with one of "
            f"{', '.join(SUFFIXES)} in {folder}"
        )
    if not sets:
        raise UserError(_nothing(folder, path, name))
    own = [stem for stem in sets if stem.lower() == folder.resolve().name.lower()]
    stem = wanted if wanted is not None else (own or list(sets))[0]
    if wanted is None and len(sets) > 1:
        if not own:
            raise UserError(
                f"{name} holds several sets: {', '.join(sets)}; give one, such as "
                f"series:{path}/{stem}"
            )
        others = ", ".join(each for each in sets if each != stem)
        notes.append(f"{folder} also holds {others}: series:{path}/NAME reads another")
    return next(sets[stem][suffix] for suffix in SUFFIXES if suffix in sets[stem])


def _same_set(file: Path, other: Path) -> bool:
    """Whether two files are parts of one set."""
    ones, others = (_NAMED.fullmatch(each.stem) for each in (file, other))
    return bool(ones and others and ones[1] == others[1] and file.suffix == other.suffix)


def _nothing(folder: Path, path: str | Path, name: str) -> str:
    inside = [
        each.name
        for each in sorted(folder.iterdir())
        if each.is_dir()
        and any(
            _NAMED.fullmatch(file.stem) and file.suffix.lower() in SUFFIXES
            for file in each.iterdir()
        )
    ]
    if inside:
        return (
            f"{name} holds folders with sets: {', '.join(inside[:20])}; give one, such as "
            f"series:{path}/{inside[0]}"
        )
    return (
        f"{name} has no file NAME_TRAIN with one of {', '.join(SUFFIXES)}, beside which "
        "NAME_TEST may lie"
    )
