"""The ways of compiling a training step for a mesh: whole, many in a row, or one a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, Sharding

from cnn_jax.batch import Batch
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import DATA, batch_sharding, batches_sharding, replicated, shardings
from cnn_jax.layers.batch_axis import BatchAxis
from cnn_jax.state import TrainState
from cnn_jax.training.step import Metrics, TrainStep

CompiledStep = Callable[..., tuple[TrainState, Metrics]]
"""Called with the state, inputs and targets of the whole set or of the batch, the examples of the
batch and their epochs, and, where processes agree, whether each device's process is asked to
stop."""

Whole = Any
"""A tree of arrays: a data set on every device or the examples of a step, or their shapes."""


@dataclass(frozen=True)
class _Step:
    """What a step is made of.

    Attributes:
      mesh: the devices.
      state: shapes and layout of the state.
      batch_size: examples in a step.
      make_batch: (seed, step, inputs, targets, indices, epochs) -> batch.
      make_step: the step of a model whose batch lies along an axis; with `free_rate` of the peak
        learning rate, an array (), as well.
      norm_examples: what batch statistics are taken over, see `BatchAxis`.
      given_up: numbers of the arguments whose memory is used again.
      agrees: whether several processes have to agree in which step they stop.
      streamed: whether a step is given its own examples, and not the whole set.
      free_rate: whether a step is given the peak learning rate, after all but the flags.
    """

    mesh: Mesh
    state: TrainState
    batch_size: int
    make_batch: Callable[..., Batch]
    make_step: Callable[..., TrainStep]
    norm_examples: int | None
    given_up: tuple[int, ...]
    agrees: bool
    streamed: bool
    free_rate: bool = False

    @property
    def _of_examples(self) -> Sharding:
        """How inputs and targets that a step is given lie on the devices."""
        return batch_sharding(self.mesh) if self.streamed else replicated(self.mesh)

    def _places(self, sharding: Sharding, *leading: int) -> list[jax.ShapeDtypeStruct]:
        """Indices and epochs: a number an example, on the device of the example."""
        shape = (*leading, self.batch_size)
        return [jax.ShapeDtypeStruct(shape, jnp.int32, sharding=sharding)] * 2

    def _flags(self) -> list[jax.ShapeDtypeStruct]:
        """Where processes have to agree: whether one is asked to stop, as each device knows."""
        shape, spread = (self.mesh.size,), batch_sharding(self.mesh)
        return [jax.ShapeDtypeStruct(shape, jnp.bool, sharding=spread)] if self.agrees else []


class PartitionedStep(_Step):
    """One program for the whole batch, which the compiler divides among the devices."""

    def __call__(self, inputs: Whole, targets: Whole) -> CompiledStep:
        """Compiles one update, for a data set of these shapes."""
        return self._compiled(self._update, inputs, targets, batch_sharding(self.mesh))

    def many(self, inputs: Whole, targets: Whole, steps: int) -> CompiledStep:
        """Compiles so many updates in one call, whose metrics have a row each.

        Of accelerators only: inside a loop XLA's convolutions are slow on a CPU.
        """

        def build(*peak: jax.Array) -> CompiledStep:
            update = self._update(*peak)

            def updates(
                state: TrainState, inputs: Any, targets: Any, *places: jax.Array
            ) -> tuple[TrainState, Metrics]:
                return jax.lax.scan(
                    lambda state, place: update(state, inputs, targets, *place), state, places
                )

            return updates

        return self._compiled(build, inputs, targets, batches_sharding(self.mesh), steps)

    def _update(self, *peak: jax.Array) -> CompiledStep:
        train_step = self.make_step(BatchAxis(self.norm_examples), *peak)

        def update(state: TrainState, *examples: Any) -> tuple[TrainState, Metrics]:
            return train_step(state, self.make_batch(state.seed, state.step, *examples))

        return update

    def _compiled(
        self,
        build: Callable[..., CompiledStep],
        inputs: Whole,
        targets: Whole,
        sharding: Sharding,
        *leading: int,
    ) -> CompiledStep:
        def step(
            state: TrainState,
            inputs: Any,
            targets: Any,
            indices: jax.Array,
            epochs: jax.Array,
            *rest: jax.Array,
        ) -> tuple[TrainState, Metrics]:
            peak, asked = rest[: len(peaks)], rest[len(peaks) :]
            state, metrics = build(*peak)(state, inputs, targets, indices, epochs)
            if asked:
                metrics["asked"] = jnp.any(asked[0])
            return state, metrics

        whole, layout = replicated(self.mesh), shardings(self.state)
        given, flags = self._of_examples, self._flags()
        peaks = [jax.ShapeDtypeStruct((), jnp.float32, sharding=whole)] * self.free_rate
        rest = shardings([*peaks, *flags])
        jitted = jax.jit(
            step,
            in_shardings=(layout, given, given, sharding, sharding, *rest),
            out_shardings=(layout, whole),
            donate_argnums=self.given_up,
        )
        places = self._places(sharding, *leading)
        return compiled(self.mesh, jitted, self.state, inputs, targets, *places, *peaks, *flags)


class MappedStep(_Step):
    """A program for the part of the batch that a device has, run on all of them.

    The batch is made by a program of its own, for the whole of it: what is drawn at random
    and who is mixed with whom does not depend on the number of devices.
    """

    def __call__(self, inputs: Whole, targets: Whole) -> CompiledStep:
        """Compiles one update, for a data set of these shapes."""
        train_step = self.make_step(BatchAxis(self.norm_examples, DATA))
        devices = list(self.mesh.devices.flat)

        def prepare(seed: jax.Array, step: jax.Array, *arrays: Any) -> Batch:
            batch = self.make_batch(seed, step, *arrays)
            return jax.tree.map(lambda x: x.reshape(len(devices), -1, *x.shape[1:]), batch)

        def step(state: TrainState, batch: Batch, *asked: jax.Array) -> tuple[TrainState, Metrics]:
            state, metrics = train_step(state, batch)
            if asked:
                metrics["asked"] = jax.lax.pmax(asked[0], DATA)
            return state, metrics

        whole, spread = replicated(self.mesh), batch_sharding(self.mesh)
        state = self.state
        arguments = (state.seed, state.step, inputs, targets, *self._places(spread))
        prepared = jax.jit(
            prepare,
            in_shardings=(whole, whole, self._of_examples, self._of_examples, spread, spread),
            out_shardings=spread,
        )
        batch = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=spread),
            jax.eval_shape(prepare, *arguments),
        )
        flags = self._flags()
        mapped = jax.pmap(
            step,
            axis_name=DATA,
            in_axes=(None, 0, *(0 for _ in flags)),
            out_axes=None,
            devices=devices,
            donate_argnums=self.given_up,
        )
        make, run = (
            compiled(self.mesh, prepared, *arguments),
            compiled(self.mesh, mapped, state, batch, *flags),
        )

        def both(
            state: TrainState, inputs: Any, targets: Any, *rest: jax.Array
        ) -> tuple[TrainState, Metrics]:
            indices, epochs, *asked = rest
            batch = make(state.seed, state.step, inputs, targets, indices, epochs)
            return run(state, batch, *asked)

        return both
