"""The data that a recipe asks for, and the facts of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.data import (
    Dataset,
    Split,
    channel_mean_std,
    from_arrays,
    load,
    with_examples,
    with_validation,
)
from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Examples, input_kind
from cnn_jax.data.fields import Field, fields_of
from cnn_jax.data.folds import with_fold
from cnn_jax.data.parts import Parts
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.statistics import (
    clip_mean_std,
    scaled_mean_std,
    series_mean_std,
    target_facts,
    unlearnt,
    value_range,
)
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.data.streaming import mean_std, streamed
from cnn_jax.data.vocabulary import Vocabulary, with_training_words
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.recipe import Columns, Data, Preprocess

_NAMED = 10
"""So many classes are named in a note."""


class Preparation(NamedTuple):
    """What images were normalised by when some weights were trained.

    Attributes:
      mean: (c,) subtracted from the channels, on the scale 0 to 1.
      std: (c,) what they were divided by, on the scale 0 to 1.
      what: the two in words.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    what: str


def read_data(
    config: Data,
    data_dir: Path | None = None,
    *,
    kind: Kind = "class",
    vocabulary: Vocabulary | None = None,
) -> Dataset:
    """The data of a recipe as they are, without a part cut from them.

    Args:
      config: the recipe's.
      data_dir: where TFDS sets lie.
      kind: of the targets, see `cnn_jax.data.fields`.
      vocabulary: of a model that is given texts; by default all words of the set.

    Raises:
      UserError: they cannot be had, or a field of the recipe is for other data.
    """
    if config.folds is not None:
        if config.test is not None:
            raise UserError(
                f"--data.folds {config.folds}: one of the folds is the test part; leave out "
                f"--data.test {config.test:g}"
            )
        config = dataclasses.replace(config, test=0)
    if isinstance(config.name, Own):
        return _own(config, config.name.value, kind)
    tables = ("csv:", "text:", "series:", "sound:", "video:")
    if config.columns != Columns() and not config.name.startswith(tables):
        raise UserError(
            "--data.columns are of csv:FILE, text:PATH, series:PATH, sound:FILE and "
            f"video:FILE, and {config.name} is no table"
        )
    if config.columns.fold is not None and not config.name.startswith(("sound:", "video:")):
        raise UserError(
            f"--data.columns.fold {config.columns.fold} is of sound:FILE and video:FILE, and not "
            f"of {config.name}"
        )
    if (found := streamed(config, data_dir, kind)) is not None:
        return found
    if config.resizer != Data.resizer:
        raise UserError(
            f"--data.resizer {config.resizer} is for sets that stream, and {config.name} is held "
            "in memory; give --data.streaming True, or leave it out"
        )
    if config.interpolation != Data.interpolation:
        raise UserError(
            f"--data.interpolation {config.interpolation} is for sets that stream, and "
            f"{config.name} is held in memory; give --data.streaming True, or leave it out"
        )
    return load(
        config.name,
        image_size=config.image_size,
        skip_bad=config.skip_bad,
        grey_range=config.grey_range,
        full_depth=config.full_depth,
        data_dir=data_dir,
        kind=kind,
        columns=config.columns,
        test_part=config.test,
        fill_missing=config.fill_missing,
        text=config.text,
        vocabulary=vocabulary,
        rate=config.rate,
        frames=config.frames,
        dealt=config.folds is not None,
        masks=config.masks,
        fit=config.fit,
    )


def _own(config: Data, found: Any, kind: Kind) -> Dataset:
    """What a user's own function reads, or arrays that are given in Python."""
    name = config.name
    cuts = ("validation", "test", "folds", "fold", "examples")
    plain = Data(name, **{each: getattr(config, each) for each in cuts})
    if config != plain:
        fields = [each.name for each in dataclasses.fields(Data)]
        changed = [each for each in fields if getattr(plain, each) != getattr(config, each)]
        raise UserError(
            f"--data.{changed[0].replace('_', '-')} is for images that are read here; what {name} "
            "gives is taken as it is: leave it out"
        )
    if callable(found):
        found = found()
    if isinstance(found, tuple | list) and len(found) == 2:
        found = from_arrays((found[0], found[1]), kind=kind, test_part=config.test)
    if not isinstance(found, Dataset):
        raise UserError(
            f"data {name}: a {type(found).__name__} is no data; give (images, targets), what "
            "cnn_jax.from_arrays makes, or a function without arguments that returns one of these"
        )
    return dataclasses.replace(found, name=str(name))


def load_data(
    config: Data,
    data_dir: Path | None = None,
    remembered: Parts | None = None,
    *,
    kind: Kind = "class",
) -> Dataset:
    """The data of a recipe, with a validation part and as many examples as are asked for.

    Args:
      config: the recipe's.
      data_dir: where TFDS sets lie.
      remembered: what the parts held when the run began. Where the files have other names now, or
        lie elsewhere, but hold the same, the parts are those of then.
      kind: of the targets, see `cnn_jax.data.fields`.
    """
    whole = read_data(config, data_dir, kind=kind)
    found = with_training_words(in_parts(whole, config))
    if remembered is None:
        return found
    now = Parts.of(found, remembered.kind)
    all_there = config.examples is not None or len(now.all()) == len(remembered.all())
    if remembered.same(now) or now.counts() != remembered.counts() or not all_there:
        return found
    applied = remembered.applied(whole)
    return found if applied is None else with_training_words(applied)


def in_parts(whole: Dataset, config: Data) -> Dataset:
    """A data set with the parts and as many examples as a recipe asks for, and notes."""
    if config.folds is not None:
        whole = with_fold(whole, config.folds, config.fold)
    cut = with_validation(whole, config.validation)
    found = with_examples(cut, config.examples)
    notes = []
    if cut.validation is not None and cut is not whole:
        notes.append(
            f"the validation part is {len(cut.validation):,} examples cut from train by a fixed "
            "stratified rule"
        )
    if found is not cut:
        notes.append(
            f"learning from {len(found.train):,} of {len(cut.train):,} training examples, chosen "
            "by a fixed rule"
        )
    return dataclasses.replace(found, notes=(*found.notes, *notes))


def data_spec(
    dataset: Dataset,
    preprocess: Preprocess | None = None,
    preparation: Preparation | None = None,
) -> DataSpec:
    """The facts of a data set that a model trained on it depends on.

    Args:
      dataset: the set.
      preprocess: means and deviations that it gives need not be measured on a set that streams.
      preparation: what the weights were trained with that the run begins with; it takes the place
        of what is measured.
    """
    train, evaluation_shape, notes = dataset.train, None, dataset.notes
    if lacking := unlearnt(train.targets, dataset.class_names):
        few = ", ".join(lacking[:_NAMED]) + ", ..." * (len(lacking) > _NAMED)
        notes += (
            f"no training example is of {len(lacking):,} of {len(dataset.class_names):,} classes: "
            f"{few}",
        )
    kind = input_kind(train)
    values = (0.0, 255.0)
    if kind == "image" and isinstance(train, Split):
        values = value_range(train.images)
    mean: np.ndarray | tuple[float, ...]
    std: np.ndarray | tuple[float, ...]
    if kind == "tokens":
        mean, std, how = (), (), "none, of words"
    elif kind == "sound":
        mean, std, how = (), (), "none, of sounds"
    elif kind == "series":
        assert isinstance(train, Split)
        (mean, std), how = series_mean_std(train.inputs), "of all training series"
    elif kind == "clip" and preparation is None:
        assert isinstance(train, Split)
        mean, std = clip_mean_std(train.inputs)
        how = "of all frames of the training videos"
    elif preparation is not None:
        mean, std, how = preparation
    elif isinstance(train, Split) and train.images.dtype != np.uint8:
        mean, std = scaled_mean_std(train.images, values)
        how = DataSpec.statistics
        notes += (
            f"images are {train.images.dtype}; their values {values[0]:g} to {values[1]:g} are "
            "taken for black and white",
        )
    elif isinstance(train, Split):
        mean, std = channel_mean_std(train.images)
        how = DataSpec.statistics
    elif preprocess is not None and preprocess.mean is not None and preprocess.std is not None:
        mean, std, how = np.array(preprocess.mean), np.array(preprocess.std), "the recipe's"
    else:
        mean, std, how = mean_std(dataset.name, train)
    if isinstance(train, StreamedSplit) and train.evaluation.shape != train.image_shape:
        evaluation_shape = train.evaluation.shape
    inputs, targets = _fields(train)
    splits = {"train": train, "validation": dataset.validation, "test": dataset.test}
    return DataSpec(
        name=dataset.name,
        class_names=tuple(dataset.class_names),
        image_shape=train.image_shape,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        examples={name: len(split) for name, split in splits.items() if split is not None},
        streamed=isinstance(train, StreamedSplit),
        evaluation_shape=evaluation_shape,
        statistics=how,
        value_range=values,
        inputs=inputs,
        targets=targets,
        facts={**target_facts(train.targets, len(dataset.class_names)), **dataset.facts},
        notes=notes,
        grey_range=dataset.grey_range,
        words=dataset.words,
        rate=dataset.rate,
        fold=dataset.fold,
    )


def _fields(train: Examples) -> tuple[dict[str, Field], dict[str, Field]]:
    """The fields of inputs and targets; of 8-bit images the shape alone says all."""
    if isinstance(train, StreamedSplit):
        return {}, {train.target.kind: train.target}
    assert isinstance(train, Split)
    inputs = fields_of(train.inputs)
    plain = [each for each in inputs.values() if each.dtype != "uint8" or each.kind != "image"]
    return inputs if plain else {}, fields_of(train.targets)
