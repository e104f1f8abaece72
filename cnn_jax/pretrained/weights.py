"""Variables of a model from a file or a run, whatever wrote it; and into a file for others."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.json_values import to_json
from cnn_jax.pretrained.matching import Found, Report, assemble, paths
from cnn_jax.pretrained.names import export_weights, import_weights, renamed
from cnn_jax.pretrained.naming import Naming, best_naming, namings, read_naming
from cnn_jax.pretrained.orbax_folder import is_orbax, read_orbax
from cnn_jax.pretrained.safetensors_file import read_safetensors, write_safetensors
from cnn_jax.pretrained.torch_file import read_torch
from cnn_jax.restored import restore
from cnn_jax.state import Variables

_READERS = {
    ".safetensors": read_safetensors,
    ".pth": read_torch,
    ".pt": read_torch,
    ".th": read_torch,
    ".bin": read_torch,
}


@dataclass(frozen=True)
class Loaded:
    """Variables that came from elsewhere.

    Attributes:
      variables: NumPy arrays of the structure, shapes and types that the model has.
      report: what was found.
      sha256: of the file; None of a folder.
      source: the file or the folder.
      step: of the run's checkpoint; None of what is no run.
      note: what is said of them instead of the report.
    """

    variables: Variables
    report: Report
    sha256: str | None
    source: str
    step: int | None = None
    note: str | None = None

    def origin(self) -> dict[str, Any]:
        """What a run folder keeps of it."""
        return {
            "source": str(Path(self.source).resolve()),
            "sha256": self.sha256,
            "step": self.step,
            "loaded": self.report.loaded,
            "numbers": self.report.numbers,
            "new": list(self.report.new),
            "missing": list(self.report.missing),
            "unexpected": list(self.report.unexpected),
            "misshapen": list(self.report.misshapen),
            "left_out": list(self.report.left_out),
        }


def load(
    path: Path,
    model: str,
    template: Variables,
    *,
    names: Path | None = None,
    new_head: bool = False,
    matching: bool = False,
    checkpoint: str = "best",
    code: Sequence[Path] = (),
) -> Loaded:
    """The variables of a model from a run folder of ours, a safetensors or a PyTorch file, or a
    checkpoint that another program wrote with Orbax.

    Nothing in a file is executed. A file may have our own names, those that the model's family
    knows of torchvision and timm, or any that a table is given for; a checkpoint of Orbax our own
    or those of a table.

    Args:
      path: the folder or the file.
      model: name of the model.
      template: its variables: initial values, or shapes if none of them is kept.
      names: a JSON file with a table of names, see `naming.read_naming`.
      new_head: leave the layers that give the logits at their initial values.
      matching: take only what fits by name and shape, and leave the rest at its initial values.
      checkpoint: of a run: `best`, `latest` or a step.
      code: of a run: as of `restore`.

    Raises:
      UserError: the path is none of these, is damaged, or does not fit the model; what is missing,
        unexpected or of another shape is listed.
    """
    source = str(path)
    if not (path / "recipe.json").exists():
        given = {"checkpoint": checkpoint != "best", "code": code}
        for field in [name for name, value in given.items() if value]:
            raise UserError(f"--init.{field} is for a run folder, and {path} is none; leave it out")
    fit = functools.partial(
        assemble, template=template, new_head=new_head, matching=matching, source=source
    )
    if path.is_dir():
        return _of_folder(path, fit, paths(template), names, checkpoint, code)
    if path.suffix not in _READERS:
        raise UserError(
            f"{path} is neither a run folder nor one of {', '.join(_READERS)}, nor a folder that "
            "Orbax wrote"
        )
    tensors, wanted = _READERS[path.suffix](path), paths(template)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if names is None and not wanted.keys().isdisjoint(tensors):
        return Loaded(*_by_path(_as_found(tensors), fit, wanted), digest, source)
    naming = read_naming(names) if names else best_naming(model, tensors, wanted, source)
    variables, report = import_weights(
        tensors,
        template,
        naming.names,
        naming.flattened,
        optional=naming.optional,
        new_head=new_head,
        matching=matching,
        source=source,
    )
    return Loaded(variables, report, digest, source)


_Fit = Callable[..., tuple[Variables, Report]]
"""`assemble` with all that is the same for whatever was found."""


def _of_folder(
    path: Path,
    fit: _Fit,
    wanted: Mapping[str, Any],
    names: Path | None,
    checkpoint: str,
    code: Sequence[Path],
) -> Loaded:
    if (path / "recipe.json").exists():
        if names is not None:
            raise UserError("--init.names is for files of another naming, not for a run folder")
        try:
            restored = restore(path, checkpoint, code)
        except UserError as error:  # which has the flag of the commands on runs
            raise UserError(re.sub(r"--code\b", "--init.code", str(error))) from None
        tensors = {name: np.asarray(value) for name, value in paths(restored.variables).items()}
        return Loaded(*_by_path(_as_found(tensors), fit, wanted), None, str(path), restored.step)
    if not is_orbax(path):
        raise UserError(_neither(path))
    stored = read_orbax(path)
    rows = () if names is None else read_naming(names).names
    found = renamed(stored.tensors, rows, str(path))
    return Loaded(*_by_path(found, fit, wanted, stored.left), None, str(path))


def _neither(path: Path) -> str:
    """What is said of a folder that holds no weights."""
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    steps = [entry.name for entry in inside if is_orbax(entry)]
    if steps:
        return f"{path} holds several checkpoints of Orbax; give one of them: {_some(steps)}"
    names = [entry.name for entry in inside]
    return (
        f"{path} is no run folder: it has no recipe.json; and no checkpoint of Orbax: it has no "
        f"_METADATA. It holds {_some(names) or 'nothing'}"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + ", ..." * (len(names) > 8)


def _as_found(tensors: Mapping[str, np.ndarray]) -> dict[str, Found]:
    return {name: Found(name, tensor) for name, tensor in tensors.items()}


def _by_path(
    found: Mapping[str, Found], fit: _Fit, wanted: Mapping[str, Any], left_out: Sequence[str] = ()
) -> tuple[Variables, Report]:
    return fit(
        {path: array for path, array in found.items() if path in wanted},
        unexpected=[array.name for path, array in found.items() if path not in wanted],
        left_out=left_out,
    )


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
      file: where it lies.
      arrays: how many it holds.
      names: whose they are: `PyTorch` where the family has a table, as torchvision or else
        timm names its modules, or `cnn_jax`.
    """

    file: Path
    arrays: int
    names: str


def export(
    run: Path,
    output: Path | None = None,
    *,
    checkpoint: str = "best",
    code: Sequence[Path] = (),
) -> Exported:
    """Writes a run's model as safetensors, with torchvision's names where its family has them.

    Args:
      run: a run folder.
      output: the file, by default RUN/MODEL-stepSTEP.safetensors.
      checkpoint: `best`, `latest` or a step.
      code: as of `restore`.

    Raises:
      UserError: there is no such run or checkpoint, or the file cannot be written.
    """
    restored = restore(run, checkpoint, code)
    model = restored.recipe.model
    known = namings(model.name)
    naming = known[0] if known else None
    tensors = as_tensors(restored.variables, naming)
    word = "".join(c if c.isalnum() or c in "-_." else "-" for c in model.name)
    file = output or run / f"{word}-step{restored.step}.safetensors"
    write_safetensors(
        file,
        tensors,
        {
            "format": "pt" if naming else "cnn_jax",
            "model": json.dumps(to_json(model)),
            "class_names": json.dumps(restored.spec.class_names),
            "step": str(restored.step),
            "mean": json.dumps(restored.recipe.preprocess.mean or restored.spec.mean),
            "std": json.dumps(restored.recipe.preprocess.std or restored.spec.std),
        },
    )
    return Exported(file, len(tensors), "PyTorch" if naming else "cnn_jax")


def as_tensors(variables: Variables, naming: Naming | None) -> dict[str, np.ndarray]:
    """Variables in PyTorch's layout and a naming, or by our own paths and as they are."""
    if naming is None:
        return {name: np.asarray(value) for name, value in paths(variables).items()}
    return export_weights(variables, naming.names, naming.flattened, ones=naming.ones)
