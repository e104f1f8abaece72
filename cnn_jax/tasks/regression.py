"""Regression: one or more numbers of an example, or angles, told in the units of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.tasks.classification import LOSS
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.example_task import ExampleTask, total
from cnn_jax.tasks.losses import absolute_error, huber, squared_error

MAE = Metric("mae", form="{:.4g}", short="mae")
RMSE = Metric("rmse", form="{:.4g}", short="rmse")
R2 = Metric("r2", higher=True, form="{:.4f}", short="r2")


class Regression(ExampleTask):
    """Numbers; the net learns them standardised by the training part.

    Options:
      angle: the numbers are angles in degrees, learnt as sine and cosine; errors go around.
      bins: of the loss `bins`: how many values, evenly spread over those of the training part,
        the net gives probabilities of; told is their mean (Rothe et al. 2018,
        https://doi.org/10.1007/s11263-016-0940-3).
      within: `within` is the part of examples told with at most this error, in the data's unit,
        the cumulative score of ages.
    """

    METRICS = (MAE, RMSE, R2, LOSS)
    PARTS = (MAE,)
    HEADLINE = (MAE, RMSE, R2)
    LOSSES = ("squared_error", "absolute_error", "huber", "bins")
    KINDS = ("number",)
    PREDICTED = "numbers"
    NUMBERS = True
    OPTIONS: ClassVar[Mapping[str, Any]] = {"angle": False, "bins": 101, "within": 5.0}

    def __post_init__(self) -> None:
        """See `ExampleTask`.

        Raises:
          UserError: the data are no numbers, an option or a loss is none that there is, or the
            training part holds one and the same number only.
        """
        super().__post_init__()
        loss, angle = self.recipe.loss, self.option("angle")
        if loss.label_smoothing:
            raise UserError(
                f"--loss.label-smoothing {loss.label_smoothing} is for classes and tags; give 0"
            )
        for name, value in ({} if isinstance(loss.name, Own) else loss.options).items():
            if (loss.name, name) != ("huber", "delta") or not isinstance(value, int | float):
                raise UserError(
                    f"--loss.options {name}={value}: the one option is delta, a number above 0, of "
                    "--loss.name huber"
                )
            if not value > 0:
                raise UserError(f"--loss.options delta={value} must be above 0")
        if angle and loss.name == "bins":
            raise UserError("--loss.name bins does not go around: leave out --task.options angle")
        bins = self.option("bins")
        if not isinstance(bins, int) or bins < 2:
            raise UserError(f"--task.options bins={bins} must be a whole number of at least 2")
        if not angle and min(self.spec.facts["std"]) <= 0:
            place = int(np.argmin(self.spec.facts["std"]))
            raise UserError(
                f"all training examples of {self.spec.name} have the same "
                f"{self.spec.class_names[place]}: there is nothing to learn"
            )

    @property
    def _numbers(self) -> int:
        return len(self.spec.class_names)

    @property
    def outputs(self) -> int:
        """See `Task`: one a number, two an angle, or one a bin of each number."""
        if self.recipe.loss.name == "bins":
            return self._numbers * int(self.option("bins"))
        return self._numbers * (2 if self.option("angle") else 1)

    def _fact(self, name: str) -> jax.Array:
        return jnp.asarray(self.spec.facts[name], jnp.float32)

    def encoded(self, targets: jax.Array) -> dict[str, jax.Array]:
        """`raw` numbers (b, d) in their unit, and `learnt`, what the loss compares with.

        Those are numbers less the training part's mean, in its deviations (b, d); of angles
        cosines and sines (b, 2d); with bins the shares of the two next to a number (b, d, bins).
        """
        raw = targets.astype(jnp.float32)
        if self.option("angle"):
            angle = jnp.deg2rad(raw)
            return {"raw": raw, "learnt": jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], -1)}
        if self.recipe.loss.name == "bins":
            bins = int(self.option("bins"))
            least, most = self._fact("least"), self._fact("most")
            place = jnp.clip((raw - least) / (most - least), 0.0, 1.0) * (bins - 1)
            apart = jnp.abs(place[..., None] - jnp.arange(bins))
            return {"raw": raw, "learnt": jnp.maximum(0.0, 1.0 - apart)}
        return {"raw": raw, "learnt": (raw - self._fact("mean")) / self._fact("std")}

    @property
    def _loss(self) -> Callable[[jax.Array, jax.Array], jax.Array]:
        config = self.recipe.loss
        if (own := self.own_loss()) is not None:
            return own
        losses: dict[str | None, Callable[[jax.Array, jax.Array], jax.Array]] = {
            "squared_error": squared_error,
            "absolute_error": absolute_error,
            "huber": partial(huber, **config.options),
            "bins": self._bin_loss,
        }
        return losses[config.name]

    def _bin_loss(self, outputs: jax.Array, learnt: jax.Array) -> jax.Array:
        logs = jax.nn.log_softmax(outputs.reshape(learnt.shape))
        return -jnp.sum(learnt * logs, axis=(-2, -1))

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`."""
        outputs = apply(batch.inputs)
        errors = jnp.abs(self._errors(outputs, batch))
        return self._loss(outputs, batch.targets["learnt"]), {"mae": jnp.mean(errors, axis=-1)}

    def _errors(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """Told less true (b, d), in the unit of the data; of angles the short way around."""
        apart = self.answers(outputs) - batch.targets["raw"]
        return (apart + 180.0) % 360.0 - 180.0 if self.option("angle") else apart

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`."""
        return {"loss": total(self._loss(outputs, batch.targets["learnt"]), batch.weights)}

    def records(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: what is told and what is true, (b, d) each."""
        return {"told": self.answers(outputs), "truth": batch.targets["raw"]}

    def finish(
        self, sums: Mapping[str, Any], records: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """See `Task`: means over the numbers, and of each where there are several."""
        told, truth = (records[name].astype(np.float64) for name in ("told", "truth"))
        found: dict[str, Any] = {"loss": float(sums["loss"]) / float(sums["examples"])}
        errors = told - truth
        if self.option("angle"):
            errors = (errors + 180.0) % 360.0 - 180.0
        each = {
            "mae": np.mean(np.abs(errors), axis=0),
            "rmse": np.sqrt(np.mean(errors**2, axis=0)),
            "within": np.mean(np.abs(errors) <= float(self.option("within")), axis=0),
        }
        if not self.option("angle"):
            spread = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
            unexplained = np.sum(errors**2, axis=0)
            # Of a split whose numbers are all the same there is nothing to explain.
            each["r2"] = 1 - np.divide(
                unexplained, spread, out=np.full_like(spread, np.nan), where=spread > 0
            )
        found |= {name: float(values.mean()) for name, values in each.items()}
        if self._numbers > 1:
            for place, name in enumerate(self.spec.class_names):
                found |= {f"{what}/{name}": float(values[place]) for what, values in each.items()}
        return found

    def answers(self, outputs: jax.Array) -> jax.Array:
        """See `Task`: numbers (b, d) in the unit of the data, angles from 0 to 360."""
        if self.option("angle"):
            cosine, sine = jnp.split(outputs, 2, axis=-1)
            return jnp.rad2deg(jnp.arctan2(sine, cosine)) % 360.0
        if self.recipe.loss.name == "bins":
            bins = int(self.option("bins"))
            shares = jax.nn.softmax(outputs.reshape(len(outputs), self._numbers, bins))
            place = shares @ jnp.linspace(0.0, 1.0, bins)
            return self._fact("least") + place * (self._fact("most") - self._fact("least"))
        return outputs * self._fact("std") + self._fact("mean")
