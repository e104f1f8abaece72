"""A data set from a file of numpy arrays: `npz:FILE`."""

from __future__ import annotations

import dataclasses
import re
import zipfile
from pathlib import Path

import numpy as np

from cnn_jax.data.arrays import Kind, from_arrays
from cnn_jax.data.dataset import Dataset
from cnn_jax.data.usual_names import PARTS
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_INPUTS = {"images", "image", "x", "inputs", "data", "imgs", "series"}
_TARGETS = {"labels", "label", "y", "targets", "target", "masks", "mask"}
_NAMES = "class_names"


def load_npz(
    path: str | Path,
    *,
    kind: Kind = "class",
    name: str | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The data set `npz:PATH`.

    The arrays of a part are called `train_images` and `train_labels`, `x_test` and `y_test` and
    the like: a part (train, val, validation, test), and images, x, inputs or data beside labels, y,
    targets or target. Without the name of a part they are the training part. `class_names` may
    name classes, tags or numbers. For what they hold see `cnn_jax.data.arrays.from_arrays`.

    Args:
      path: the file.
      kind: of the targets.
      name: of the set, by default `npz:PATH`.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: there is no such file, it is damaged, or its arrays are not called so.
    """
    file, name = user_path(path), name or f"npz:{path}"
    whole, names, unknown = read_npz(file, name)
    dataset = from_arrays(
        whole["train"],
        validation=whole.get("validation"),
        test=whole.get("test"),
        kind=kind,
        class_names=names,
        name=name,
        source=str(file.resolve()),
        test_part=test_part,
    )
    if not unknown:
        return dataset
    note = f"passed over the arrays {', '.join(unknown)}"
    return dataclasses.replace(dataset, notes=(*dataset.notes, note))


def read_npz(
    file: Path, name: str
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str] | None, list[str]]:
    """The arrays of an `.npz` file by part, as `load_npz` says.

    Args:
      file: which is read.
      name: of the set, for messages.

    Returns:
      (inputs, targets) of each part; `class_names`, if there are any; and what other arrays there
      are.

    Raises:
      UserError: as of `load_npz`.
    """
    try:
        opened = np.load(file, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            raise UserError(f"{name} holds one array; an .npz file holds several, by name")
        with opened:
            arrays = {key: opened[key] for key in opened.files}
    except FileNotFoundError:
        raise UserError(f"{name}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{name} cannot be read as numpy arrays: {error}") from None
    found: dict[str, dict[str, np.ndarray]] = {}
    unknown = []
    for key, values in arrays.items():
        if key == _NAMES:
            continue
        part, role = _meaning(key)
        if role is None:
            unknown.append(key)
        elif role in found.setdefault(part, {}):
            raise UserError(f"{name} has two arrays for the {role} of the {part} part")
        else:
            found[part][role] = values
    whole = {
        part: (roles["inputs"], roles["targets"])
        for part, roles in found.items()
        if len(roles) == 2
    }
    if "train" not in whole:
        raise UserError(
            f"{name} holds the arrays {', '.join(arrays) or 'none'}; valid names are such as "
            "train_images and train_labels, x_test and y_test"
        )
    names = [str(each) for each in arrays[_NAMES]] if _NAMES in arrays else None
    return whole, names, unknown


def _meaning(key: str) -> tuple[str, str | None]:
    """The part that an array belongs to, and whether it holds inputs or targets."""
    words = [word for word in re.split(r"[^a-z]+", key.lower()) if word]
    parts = [PARTS[word] for word in words if word in PARTS]
    roles = ["inputs" for word in words if word in _INPUTS]
    roles += ["targets" for word in words if word in _TARGETS]
    if len(roles) != 1 or len(parts) > 1 or len(words) != len(parts) + 1:
        return "", None
    return (parts or ["train"])[0], roles[0]
