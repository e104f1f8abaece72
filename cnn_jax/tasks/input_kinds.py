"""The kinds of inputs by name."""

from __future__ import annotations

from cnn_jax.data.spec import DataSpec
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.clip_inputs import ClipInputs
from cnn_jax.tasks.image_inputs import ImageInputs
from cnn_jax.tasks.inputs import Inputs
from cnn_jax.tasks.series_inputs import SeriesInputs
from cnn_jax.tasks.sound_inputs import SoundInputs
from cnn_jax.tasks.token_inputs import TokenInputs

INPUTS: dict[str, type[Inputs]] = {
    kind.KIND: kind for kind in (ImageInputs, SeriesInputs, SoundInputs, ClipInputs, TokenInputs)
}


def inputs_of(recipe: Recipe, spec: DataSpec) -> Inputs:
    """How the inputs of data with these facts are prepared."""
    return INPUTS[spec.input_kind](recipe, spec)
