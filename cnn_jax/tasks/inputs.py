"""What a model is given: the half of a task that does not ask what is told of an example."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax import models
from cnn_jax.batch import Batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.recipe import Preprocess, Recipe
from cnn_jax.tasks.contract import Apply

_OF_KIND = {
    "augment": "image",
    "preprocess": "image",
    "series": "series",
    "sound": "sound",
    "video": "clip",
}
"""Groups of a recipe that are for inputs of one kind."""
_ALSO = {
    ("augment", "mixup"): ("sound", "clip"),
    **{
        ("augment", name): ("clip",)
        for name in (
            *("pad_crop", "pad_mode", "mirror", "rotation", "translation", "scale"),
            *("brightness", "contrast", "saturation"),
        )
    },
    **{("preprocess", each.name): ("clip",) for each in dataclasses.fields(Preprocess)},
}
"""Fields of these that are for inputs of other kinds as well."""

_PLURAL = {
    "image": "images",
    "series": "series",
    "sound": "sounds",
    "tokens": "tokens",
    "clip": "videos",
}


@dataclass(frozen=True)
class Inputs(ABC):
    """Inputs of one kind: how they are prepared, and changed at random.

    Args:
      recipe: what is trained.
      spec: facts of the data.
    """

    KIND: ClassVar[str]

    recipe: Recipe
    spec: DataSpec

    @abstractmethod
    def check(self, model: nn.Module) -> None:
        """Checks the recipe against the data, before anything is compiled.

        Raises:
          UserError: they do not fit.
        """

    @abstractmethod
    def example(self, *, evaluation: bool = False) -> Any:
        """Shapes and dtypes of one prepared example, without the batch's axis, as a tree."""

    @property
    def model_kind(self) -> str:
        """The kind of inputs that the model takes, where it is another than that of the data."""
        return self.KIND

    @property
    def model_options(self) -> dict[str, Any]:
        """Options of a model that follow from the data."""
        return {}

    @abstractmethod
    def prepared(self, inputs: Any) -> Any:
        """Raw inputs (b, ...) as evaluation gives them to the model."""

    def check_kinds(self) -> None:
        """Refuses a model and fields of a recipe that are for inputs of other kinds.

        Raises:
          UserError: there is one.
        """
        name = self.recipe.model.name
        found = models.entry(name)
        # A class of a user's own may take any; what it cannot take it says when it is applied.
        if found.own is None and found.input_kind != self.model_kind:
            there = ", ".join(models.names(self.KIND)) or "none"
            also = ""
            if self.KIND == "sound":
                also = (
                    ", which are given --sound.picture none; those of images are given pictures of "
                    "sounds, by default, such as logmel_cnn"
                )
            raise UserError(
                f"--model.name {name} takes inputs of the kind {found.input_kind}, and "
                f"{self.spec.name} has {self.KIND}; models of these are {there}{also}"
            )
        for group, kind in _OF_KIND.items():
            asked = getattr(self.recipe, group)
            for each in dataclasses.fields(asked) if kind != self.KIND else ():
                here = self.KIND in _ALSO.get((group, each.name), ())
                if getattr(asked, each.name) != each.default and not here:
                    flag = f"--{group}.{each.name.replace('_', '-')}"
                    raise UserError(
                        f"{flag} is for {_PLURAL[kind]}, and {self.spec.name} has "
                        f"{_PLURAL[self.KIND]}; leave it out"
                    )
        if self.KIND != "image" and self.recipe.views != "none":
            raise UserError(
                f"--views {self.recipe.views} is for images, and {self.spec.name} has "
                f"{_PLURAL[self.KIND]}"
            )

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: Any,
        targets: Any,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """The batch of a step, by default without any change; arguments are those of
        `cnn_jax.tasks.contract.Task`, but targets are as the loss has them and may be blended.
        """
        return self.evaluation_batch(inputs, targets, jnp.ones(len(indices), jnp.float32))

    def evaluation_batch(self, inputs: Any, targets: Any, weights: jax.Array) -> Batch:
        """The batch of an evaluation: prepared, but not changed."""
        return Batch(self.prepared(inputs), targets, jnp.asarray(weights, jnp.float32))

    def infer(self, apply: Apply, inputs: Any) -> Any:
        """The net's outputs for prepared inputs, by default of these alone."""
        return apply(inputs)
