"""Evaluation of every example of a split, each counted once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding

from cnn_jax import models
from cnn_jax.augment.views import WEIGHTS
from cnn_jax.data import Split, evaluation_batches
from cnn_jax.data.dataset import Examples
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import (
    batch_sharding,
    gathered,
    placed,
    placed_parts,
    replicated,
    shardings,
)
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe
from cnn_jax.state import Variables
from cnn_jax.tasks import Task, make_task
from cnn_jax.tasks.own_functions import own_metrics
from cnn_jax.training.input import evaluation_feed
from cnn_jax.training.step import KEPT, OWN, make_eval_step

Found = tuple[dict[str, Any], dict[str, Any]]
"""Sums and records of a batch."""

MOST_KEPT = 2**30
"""Bytes that are stored of the examples of a split at most, besides the records."""
SUM = "sum:"
"""Before the names of sums that are kept beside records."""

_IN_FLIGHT = 2
"""Batches that may be under way before one is known to be done."""


class Evaluator:
    """Evaluation of a recipe's model, compiled for a mesh.

    Args:
      recipe: its model, task, preparation and batch size are used.
      spec: facts of the data that the model was trained on.
      mesh: the devices.
      workers: processes that read a streamed set, by default as many as there are processors.
    """

    def __init__(
        self, recipe: Recipe, spec: DataSpec, mesh: Mesh, workers: int | None = None
    ) -> None:
        self._task = task = make_task(recipe, spec)
        self._spec = spec
        self._mesh = mesh
        self._workers = workers
        # Training's batch size in views, or the next that the devices divide.
        examples = -(-recipe.batch_size // len(WEIGHTS[recipe.views]))
        self._batch_size = -(-examples // mesh.size) * mesh.size
        model = make_model(recipe, task)
        self._own = own_metrics(recipe)
        eval_step = make_eval_step(model, task, own=self._own, gathered=partial(gathered, mesh))

        def step(variables: Variables, inputs: Any, targets: Any, weights: jax.Array) -> Found:
            return eval_step(variables, task.evaluation_batch(inputs, targets, weights))

        def agreeing(*arguments: Any) -> Found:
            *known, asked = arguments
            sums, records = step(*known)
            return {**sums, "asked": jnp.any(asked)}, records

        # Several processes have to agree whether they give up.
        self._agrees = jax.process_count() > 1
        self._step = agreeing if self._agrees else step
        self._compiled: Any = None

    @property
    def _sharding(self) -> NamedSharding:
        return batch_sharding(self._mesh)

    def _spread(self, tree: Any, indices: np.ndarray) -> Any:
        """The examples of a batch, of which a process only reads those of its devices."""

        def spread(values: np.ndarray) -> jax.Array:
            shape = (len(indices), *values.shape[1:])
            return placed_parts(shape, self._sharding, lambda index: values[indices[index[0]]])

        return jax.tree.map(spread, tree)

    def compile(self, variables: Variables) -> None:
        """Compiles the evaluation step, once."""
        if self._compiled is not None:
            return
        whole, spread = replicated(self._mesh), batch_sharding(self._mesh)
        size = self._batch_size
        inputs, targets = self._spec.examples_of(size, evaluation=True)
        jitted = jax.jit(
            self._step,
            in_shardings=(shardings(variables), *[spread] * (4 if self._agrees else 3)),
            out_shardings=whole,
        )
        self._compiled = compiled(
            self._mesh,
            jitted,
            variables,
            inputs,
            targets,
            jax.ShapeDtypeStruct((size,), jnp.float32),
            *[jax.ShapeDtypeStruct((self._mesh.size,), jnp.bool)] * self._agrees,
        )

    def __call__(
        self,
        variables: Variables,
        split: Examples,
        stop: Callable[[], bool] = lambda: False,
        *,
        chosen: Mapping[str, Any] | None = None,
        choose: bool = False,
        kept: dict[str, np.ndarray] | None = None,
        details: bool = False,
    ) -> dict[str, Any] | None:
        """Metrics over every example of a split, each counted once.

        Args:
          variables: what the model is applied with.
          split: raw examples.
          stop: asked before every batch; true gives up.
          chosen: what was chosen on the validation part, where the task has chosen something.
          choose: choose it on this split; it comes back as the metric `chosen`, if there is any.
          kept: is given the records and what the task stores besides, (n, ...) each; not the latter
            where it is more than `MOST_KEPT`. The sums have `SUM` before their names.
          details: give what the task stores besides, as `details`, if there is any.

        Returns:
          The metrics of the task and the count of examples, or None if given up.
        """
        self.compile(variables)
        found: list[Found] = []
        with contextlib.closing(self._batches(split)) as batches:
            count = 0 if kept is None else len(split)
            if not self._gather(variables, batches, found, stop, kept=count):
                return None
        # Batches are summed in float64: the order and size of the sum cost no digits.
        sums = {
            name: np.sum([np.asarray(each[name]) for each, _ in found], axis=0, dtype=np.float64)
            for name in found[0][0]
            if name != "asked"
        }
        examples = round(float(sums["examples"]))
        if examples != len(split):
            raise AssertionError(f"{examples} examples were counted of {len(split)}")
        records = {
            name: np.concatenate([np.asarray(each[name]) for _, each in found])[:examples]
            for name in found[0][1]
        }
        if kept is not None:
            kept |= {name.removeprefix(KEPT): each for name, each in records.items()}
            kept |= {f"{SUM}{name}": np.asarray(each) for name, each in sums.items()}
        if choose:
            chosen = self._task.choose(records)
        own = {name: float(sums.pop(f"{OWN}{name}")) / examples for name in self._own}
        metrics = {**self._task.finish(sums, records, chosen), **own, "examples": examples}
        more: Any = getattr(self._task, "details", lambda sums: {})(sums) if details else {}
        if more:
            metrics["details"] = more
        return {**metrics, "chosen": chosen} if choose and chosen else metrics

    def _batches(self, split: Examples) -> Generator[tuple[Any, Any, np.ndarray]]:
        """Inputs, targets and weights of the batches that count each example once."""
        places = evaluation_batches(len(split), self._batch_size)
        if isinstance(split, StreamedSplit):
            feed = evaluation_feed(split, self._batch_size, self._mesh, self._workers)
            with contextlib.closing(feed):
                for _, weights in places:
                    yield *feed.get(), weights
            return
        assert isinstance(split, Split)
        for indices, weights in places:
            yield self._spread(split.inputs, indices), self._spread(split.targets, indices), weights

    def _gather(
        self,
        variables: Variables,
        batches: Iterable[tuple[Any, Any, np.ndarray]],
        found: list[Found],
        stop: Callable[[], bool],
        *,
        kept: int,
    ) -> bool:
        """Adds the sums and records of each batch to those found; false if given up.

        Args:
          variables: what the model is applied with.
          batches: inputs, targets and weights.
          found: is added to.
          stop: asked before every batch.
          kept: of so many examples what is stored besides the records is found too, if it is not
            too much.
        """
        for inputs, targets, weights in batches:
            asked = stop()
            late = found[-_IN_FLIGHT] if len(found) >= _IN_FLIGHT else None
            if self._agrees:
                # Read from a batch that is done while the next are under way.
                if late is not None and bool(late[0]["asked"]):
                    return False
            elif asked:
                return False
            if late is not None:
                # Waits for it, and lets its arrays leave the devices.
                found[-_IN_FLIGHT] = jax.device_get(late)
            arrays = [inputs, targets, placed(weights, self._sharding)]
            if self._agrees:
                arrays.append(placed(np.full(self._mesh.size, asked), self._sharding))
            sums, records = self._compiled(variables, *arrays)
            if kept and not found:
                more = [each for name, each in records.items() if name.startswith(KEPT)]
                size = sum(each.nbytes for each in more) * -(-kept // self._batch_size)
                kept *= size <= MOST_KEPT
            if not kept:
                records = {name: e for name, e in records.items() if not name.startswith(KEPT)}
            found.append((sums, records))
        return True


def make_model(recipe: Recipe, task: Task) -> nn.Module:
    """The module that a recipe asks for, with as many outputs as its task needs.

    Raises:
      UserError: an unknown model or option, one that is not given as an option, or a model that
        tells something else than the task learns.
    """
    _check_output_kind(recipe, task)
    reserved = {"dtype": "it is --model.dtype", "name": "it is --model.name"}
    for name, instead in {**reserved, **models.NOT_OPTIONS}.items():
        if name in recipe.model.options:
            raise UserError(f"--model.options {name}=... is no option of a model: {instead}")
    known = models.entry(recipe.model.name).options
    found = {name: value for name, value in task.model_options.items() if name in known}
    for name in found:
        if name in recipe.model.options:
            raise UserError(
                f"--model.options {name}=... is no option of a run: it follows from the data"
            )
    return models.create(
        recipe.model.name, task.outputs, dtype=recipe.model.dtype, **recipe.model.options, **found
    )


def _check_output_kind(recipe: Recipe, task: Task) -> None:
    found = models.entry(recipe.model.name)
    asked = getattr(task, "OUTPUT", "vector")  # a task of a user's own need not say it
    # A class of a user's own says what is wrong when it is applied.
    if found.own is None and found.output_kind != asked:
        tells, learns = models.OUTPUT_KINDS[found.output_kind], models.OUTPUT_KINDS[asked]
        others = models.names(found.input_kind, asked)
        more = f" and {len(others) - 12} more" * (len(others) > 12)
        raise UserError(
            f"--model.name {recipe.model.name} tells {tells}, and --task.name {recipe.task.name} "
            f"asks for {learns}; models for it are {', '.join(others[:12])}{more}"
        )
