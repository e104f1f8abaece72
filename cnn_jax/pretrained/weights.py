"""Variables of a model from a file or a run, whatever wrote it; and into a file for others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.restored import restore
from cnn_jax.json_values import to_json
from cnn_jax.pretrained.matching import Found, Report, assemble, paths
from cnn_jax.pretrained.names import export_weights, import_weights
from cnn_jax.pretrained.naming import Naming, best_naming, namings, read_naming
from cnn_jax.pretrained.safetensors_file import read_safetensors, write_safetensors
from cnn_jax.pretrained.torch_file import read_torch
from cnn_jax.training.state import Variables

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
      sha256: of the file; None of a run.
      source: the file or the run folder.
      step: of the run's checkpoint; None of a file.
    """

    variables: Variables
    report: Report
    sha256: str | None
    source: str
    step: int | None = None

    def origin(self) -> dict[str, Any]:
        """What a run folder keeps of it."""
        return {
            "source": str(Path(self.source).resolve()),
            "sha256": self.sha256,
            "step": self.step,
            "loaded": self.report.loaded,
            "new": list(self.report.new),
            "left_out": list(self.report.left_out),
        }


def load(
    path: Path,
    model: str,
    template: Variables,
    *,
    names: Path | None = None,
    new_head: bool = False,
    checkpoint: str = "best",
) -> Loaded:
    """The variables of a model from a run folder of ours, a safetensors or a PyTorch file.

    Nothing in a file is executed. A file may have our own names, those that the model's family
    knows of torchvision and timm, or any that a table is given for.

    Args:
      path: the folder or the file.
      model: name of the model.
      template: its variables: initial values, or shapes if there is no new head.
      names: a JSON file with a table of names, see `naming.read_naming`.
      new_head: leave the layers that give the logits at their initial values.
      checkpoint: of a run: `best`, `latest` or a step.

    Raises:
      UserError: the path is neither, is damaged, or does not fit the model; what is missing,
        unexpected or of another shape is listed.
    """
    source = str(path)
    if path.is_dir():
        restored = restore(path, checkpoint)
        tensors = {name: np.asarray(value) for name, value in paths(restored.variables).items()}
        variables, report = _by_path(tensors, template, new_head, source)
        return Loaded(variables, report, None, source, restored.step)
    if path.suffix not in _READERS:
        raise UserError(f"{path} is neither a run folder nor one of {', '.join(_READERS)}")
    tensors, wanted = _READERS[path.suffix](path), paths(template)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if names is None and not wanted.keys().isdisjoint(tensors):
        return Loaded(*_by_path(tensors, template, new_head, source), digest, source)
    naming = read_naming(names) if names else best_naming(model, tensors, wanted, source)
    variables, report = import_weights(
        tensors,
        template,
        naming.names,
        naming.flattened,
        optional=naming.optional,
        new_head=new_head,
        source=source,
    )
    return Loaded(variables, report, digest, source)


def _by_path(
    tensors: Mapping[str, np.ndarray], template: Variables, new_head: bool, source: str
) -> tuple[Variables, Report]:
    wanted = paths(template)
    return assemble(
        {name: Found(name, tensor) for name, tensor in tensors.items() if name in wanted},
        template,
        [name for name in tensors if name not in wanted],
        new_head=new_head,
        source=source,
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


def export(run: Path, output: Path | None = None, *, checkpoint: str = "best") -> Exported:
    """Writes a run's model as safetensors, with torchvision's names where its family has them.

    Args:
      run: a run folder.
      output: the file, by default RUN/MODEL-stepSTEP.safetensors.
      checkpoint: `best`, `latest` or a step.

    Raises:
      UserError: there is no such run or checkpoint, or the file cannot be written.
    """
    restored = restore(run, checkpoint)
    model = restored.recipe.model
    known = namings(model.name)
    naming = known[0] if known else None
    tensors = as_tensors(restored.variables, naming)
    file = output or run / f"{model.name}-step{restored.step}.safetensors"
    write_safetensors(
        file,
        tensors,
        {
            "format": "pt" if naming else "cnn_jax",
            "model": json.dumps(to_json(model)),
            "class_names": json.dumps(restored.spec.class_names),
            "step": str(restored.step),
        },
    )
    return Exported(file, len(tensors), "PyTorch" if naming else "cnn_jax")


def as_tensors(variables: Variables, naming: Naming | None) -> dict[str, np.ndarray]:
    """Variables in PyTorch's layout and a naming, or by our own paths and as they are."""
    if naming is None:
        return {name: np.asarray(value) for name, value in paths(variables).items()}
    return export_weights(variables, naming.names, naming.flattened, ones=naming.ones)
