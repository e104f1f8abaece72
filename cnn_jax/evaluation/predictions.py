"""What a model told of every example of a split, in a Parquet file with all that it is of.

Parquet by pyarrow, which TFDS needs anyway: pandas, Polars, DuckDB, R and Spark read it, columns
keep their types, and what it is of stands in the file itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from cnn_jax.data.contents import digests, kind_of
from cnn_jax.data.dataset import Examples
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.json_values import to_json
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import commit, versions
from cnn_jax.tasks import metric_that_counts, predicted_kind, resolved
from cnn_jax.tasks.predicted import KINDS, Predicted
from cnn_jax.training.evaluator import MOST_KEPT, SUM

if TYPE_CHECKING:
    import pyarrow

_KEY, _SHAPE = b"cnn_jax", b"shape"
_NEEDED = (
    "name",
    "dataset",
    "split",
    "step",
    "task",
    "predicted",
    "class_names",
    "options",
)
"""What a file must say that it is of, for metrics to be made of it."""


def why_none(recipe: Recipe) -> str:
    """Why there are no predictions of a recipe's model, in words."""
    if predicted_kind(recipe):
        return f"predictions are not kept: they would take more than {MOST_KEPT // 2**30} GB"
    return f"the task {recipe.task.name} tells too much of an example for it to be stored"


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was told of n examples.

    Attributes:
      ids: (n,) of text: digests of what the examples hold.
      columns: arrays (n, ...) by name, as the task gives them.
      about: what they are of: `run`, `name`, `model`, `seed`, `dataset`, `split`, `checkpoint`,
        `step`, `views`, `task`, `options`, `predicted`, `class_names`, `metric`, `data_hash`,
        `sums` over all examples, `versions`, `commit`.
    """

    ids: np.ndarray
    columns: Mapping[str, np.ndarray]
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def what(self) -> str:
        """What they are of, in words."""
        about = self.about
        return f"{about['name']}, step {about['step']}, {about['split']} of {about['dataset']}"

    def predicted(self, source: str = "") -> Predicted:
        """What metrics are made of.

        Args:
          source: what an error calls them.

        Raises:
          UserError: there are none for such a task.
        """
        kind, about = self.about["predicted"], self.about
        if kind not in KINDS:
            raise UserError(
                f"{source or self.what}: no further metrics are made of stored predictions of the "
                f"task {about['task']}; cnn-jax evaluate gives all that it has"
            )
        return KINDS[kind](self.columns, tuple(about["class_names"]), about["options"])

    def with_columns(self, columns: Mapping[str, np.ndarray], **about: Any) -> Predictions:
        """The same examples with others told of them."""
        return dataclasses.replace(self, columns=columns, about={**self.about, **about})

    def write(self, file: Path) -> None:
        """Writes them whole or not at all.

        Raises:
          OSError: they cannot be written.
        """
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table(
            [pa.array(self.ids.tolist(), pa.string()), *map(_column, self.columns.values())],
            schema=pa.schema(
                [
                    pa.field("id", pa.string()),
                    *(_field(name, each) for name, each in self.columns.items()),
                ],
                metadata={_KEY: json.dumps(self.about)},
            ),
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as out:
                parquet.write_table(table, out, compression="zstd", write_page_checksum=True)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def read(cls, file: Path) -> Predictions:
        """Those that `write` has written.

        Raises:
          UserError: it cannot be read, or is another file.
        """
        import pyarrow as pa
        from pyarrow import parquet

        try:
            with file.open("rb") as given:
                table = parquet.read_table(given, page_checksum_verification=True)
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
        except pa.ArrowException as error:
            raise UserError(f"{file} is no Parquet file: {error}") from None
        about = (table.schema.metadata or {}).get(_KEY)
        if about is None or "id" not in table.column_names:
            raise UserError(f"{file} holds no predictions that cnn-jax evaluate has written")
        columns = {
            field.name: _array(table.column(field.name), field)
            for field in table.schema
            if field.name != "id"
        }
        found = cls(np.array(table.column("id").to_pylist()), columns, _about(about, file))
        kind = KINDS.get(found.about["predicted"])
        fault = None if kind is None else found.predicted(str(file)).fault()
        if fault is not None:
            raise UserError(f"{file} is damaged: {fault}")
        return found


def read_about(file: Path) -> Mapping[str, Any]:
    """What predictions are of, without reading them: see `Predictions.about`.

    Raises:
      UserError: it cannot be read, or is another file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        about = (parquet.read_metadata(file).metadata or {}).get(_KEY)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
    except pa.ArrowException as error:
        raise UserError(f"{file} is no Parquet file: {error}") from None
    if about is None:
        raise UserError(f"{file} holds no predictions that cnn-jax evaluate has written")
    return _about(about, file)


def _about(text: bytes, file: Path) -> Mapping[str, Any]:
    """What a file says that it is of."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    told = found if isinstance(found, dict) else {}
    lacking = [name for name in _NEEDED if name not in told]
    if lacking:
        raise UserError(f"{file} is damaged: it does not say its {', '.join(lacking)}")
    return told


def _field(name: str, array: np.ndarray) -> pyarrow.Field:
    import pyarrow as pa

    kind = pa.from_numpy_dtype(array.dtype)
    if array.ndim == 1:
        return pa.field(name, kind, nullable=False)
    shape = {_SHAPE: json.dumps(array.shape[1:])}
    inner = pa.field("item", kind, nullable=False)
    return pa.field(name, pa.list_(inner, int(np.prod(array.shape[1:]))), False, shape)


def _column(array: np.ndarray) -> pyarrow.Array:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if array.ndim == 1:
        return flat
    kind = _field("", array).type
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def _array(column: pyarrow.ChunkedArray, field: pyarrow.Field) -> np.ndarray:
    whole = column.combine_chunks()
    shape = (field.metadata or {}).get(_SHAPE)
    if shape is None:
        return np.asarray(whole.to_numpy(zero_copy_only=False))
    flat = whole.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), *json.loads(shape))


def predictions_of(
    kept: Mapping[str, np.ndarray],
    examples: Examples,
    known: np.ndarray | None,
    *,
    recipe: Recipe,
    spec: DataSpec,
    **about: Any,
) -> Predictions | None:
    """What an evaluation has kept, as it is written.

    Args:
      kept: as of `cnn_jax.training.evaluator.Evaluator`.
      examples: that it is of.
      known: digests (n,) uint64 of what they hold, if they are known.
      recipe: of the model.
      spec: facts of its data.
      **about: `run`, `dataset`, `split`, `checkpoint` and `step`.

    Returns:
      None where nothing has been kept.
    """
    columns = {name: each for name, each in kept.items() if not name.startswith(SUM)}
    if not columns:
        return None
    sums = {name.removeprefix(SUM): kept[name].tolist() for name in kept if name not in columns}
    recipe = resolved(recipe)
    found = digests(examples, kind_of([examples])) if known is None else known
    return Predictions(
        np.array([f"{each:016x}" for each in found.tolist()]),
        columns,
        {
            **about,
            "name": recipe.name,
            "model": str(recipe.model.name),
            "seed": recipe.seed,
            "views": recipe.views,
            "task": str(recipe.task.name),
            "options": to_json(dict(recipe.task.options)),
            "predicted": predicted_kind(recipe),
            "class_names": list(spec.class_names),
            "metric": metric_that_counts(recipe).name,
            "data_hash": data_hash(found, examples.targets),
            "sums": sums,
            "versions": versions(),
            "commit": commit(),
        },
    )


def data_hash(found: np.ndarray, targets: Any) -> str:
    """A digest of what examples hold and of what is true of them, in their order.

    Args:
      found: digests (n,) uint64 of what they hold.
      targets: a tree of arrays (n, ...).
    """
    digest = blake2b(np.ascontiguousarray(found).tobytes(), digest_size=8)
    for leaf in jax.tree.leaves(targets):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def file_name(dataset: str, split: str, step: int, views: str | None = None) -> str:
    """What the files of an evaluation are called, without their ending.

    Args:
      dataset: its name.
      split: which part.
      step: of the checkpoint.
      views: where they are not the recipe's.
    """
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in dataset)
    return f"{name}-{split}-step{step}" + (f"-views-{views}" if views else "")
