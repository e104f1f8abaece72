"""How images are normalised for weights that a run begins with: as when these were trained."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from cnn_jax.data.recipe_data import Preparation
from cnn_jax.errors import UserError
from cnn_jax.pretrained.body_weights import body_name
from cnn_jax.pretrained.published import IMAGENET, published
from cnn_jax.pretrained.safetensors_file import read_metadata
from cnn_jax.recipe import Preprocess, Recipe
from cnn_jax.run_folder import RunFolder

_FROM_WEIGHTS = "those that the weights were trained with"


def preparation_of(
    recipe: Recipe, channels: int, begun: RunFolder | None = None
) -> tuple[Preparation | None, str | None]:
    """Means and deviations for a run that begins with weights, and what is said of them.

    Args:
      recipe: what the recipe itself gives comes before all.
      channels: of the images.
      begun: where the run has begun, it goes on with what it began with.

    Returns:
      None where the training images' own are used, as by a run that begins at random.
    """
    init, own = recipe.init, recipe.preprocess
    if init.source is None:
        return None, None
    if begun is not None and begun.begun:
        spec = begun.data_spec()
        if not spec.statistics.startswith(_FROM_WEIGHTS):
            return None, None
        return Preparation(spec.mean, spec.std, spec.statistics), None
    theirs = _of_source(recipe)
    if theirs is None:
        if own.mean is not None and own.std is not None:
            return None, None
        return None, (
            f"{init.source} does not tell how its images were normalised: they are by the means "
            "and deviations of the training images. If its own are known, give --preprocess.mean "
            "and --preprocess.std"
        )
    mean, std = theirs
    if len(mean) != channels:
        return None, (
            f"the weights of {init.source} were trained on images of {len(mean)} channels, these "
            f"have {channels}: they are normalised by their own means and deviations"
        )
    told = f"({_numbers(mean)} and {_numbers(std)})"
    given = own.mean or mean, own.std or std
    if given == (mean, std):
        note = f"images are normalised as when the weights of {init.source} were trained {told}"
    else:
        note = (
            f"images are normalised by the recipe's ({_numbers(given[0])} and "
            f"{_numbers(given[1])}), not as when the weights of {init.source} were trained {told}"
        )
    return Preparation(mean, std, f"{_FROM_WEIGHTS}, {init.source}"), note


_Two = tuple[tuple[float, ...], tuple[float, ...]]


def _of_source(recipe: Recipe) -> _Two | None:
    """The means and deviations that belong to the weights, where they are known."""
    source = recipe.init.source
    assert source is not None
    if source == IMAGENET:
        # What there is not is told where the weights are read.
        with contextlib.suppress(UserError):
            model = recipe.model
            found = published(body_name(model) if recipe.init.body else model.name)
            return (found.mean,) * 3, (found.std,) * 3
        return None
    path = Path(source)
    if (path / "recipe.json").is_file():
        folder = RunFolder(path)
        return used(folder.recipe().preprocess, *_of_run(folder))
    if path.suffix == ".safetensors" and path.is_file():
        stored = read_metadata(path)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            mean, std = (tuple(map(float, json.loads(stored[name]))) for name in ("mean", "std"))
            return mean, std
    return None


def _of_run(folder: RunFolder) -> _Two:
    spec = folder.data_spec()
    return spec.mean, spec.std


def used(preprocess: Preprocess, mean: tuple[float, ...], std: tuple[float, ...]) -> _Two:
    """What images are normalised by: what a recipe gives, else what its data have."""
    return preprocess.mean or mean, preprocess.std or std


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.3g}" for value in values)
