"""What an evaluation found example by example, saved: metrics can be computed again from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import SUM


def has_records(kept: Mapping[str, np.ndarray]) -> bool:
    """Whether there is more than sums in what an evaluation has kept."""
    return any(not name.startswith(SUM) for name in kept)


def write_records(file: Path, kept: Mapping[str, np.ndarray]) -> None:
    """Writes the sums and records of an evaluation, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as out:
            np.savez_compressed(out, **kept)  # type: ignore[arg-type]
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def metrics_of(run: Path, file: Path, code: Sequence[Path] = ()) -> dict[str, Any]:
    """The metrics of a run's task from what an evaluation has saved, without the model.

    What was chosen on the validation part, such as a threshold, is not used.

    Args:
      run: the run folder.
      file: that `write_records` has written.
      code: as of `cnn_jax.restored.restore`.

    Raises:
      UserError: there is no such run or file, or it holds something else.
    """
    folder = RunFolder(run)
    task = make_task(folder.recipe(code), folder.data_spec())
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"--records {file} cannot be read ({error})") from None
    sums = {name.removeprefix(SUM): a for name, a in arrays.items() if name.startswith(SUM)}
    records = {name: a for name, a in arrays.items() if not name.startswith(SUM)}
    try:
        metrics = task.finish(sums, records, None)
    except KeyError as error:
        raise UserError(
            f"--records {file} is of another task than this run's: it has no {error}"
        ) from None
    found = {"records": str(file), **metrics, "examples": round(float(sums["examples"]))}
    return {**found, "notes": [], "unseen": None}
