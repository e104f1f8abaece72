"""What is looked at: pictures of a user, or examples of the part that a run has chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.augment import denormalise
from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.series import padded
from cnn_jax.errors import UserError
from cnn_jax.evaluation.own_data import own_part
from cnn_jax.evaluation.pictures import pictures as pictures_of
from cnn_jax.evaluation.predict import cannot_be_read
from cnn_jax.evaluation.predict_text import texts_of, tokens_of
from cnn_jax.evaluation.series_to_tell import rows_of
from cnn_jax.evaluation.sounds_to_tell import for_length, is_sound, sounds_of
from cnn_jax.evaluation.split_name import SplitName
from cnn_jax.restored import Restored
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import make_task
from cnn_jax.tasks.image_inputs import ImageInputs
from cnn_jax.trained import TrainedModel


class Looked(NamedTuple):
    """Some examples.

    Attributes:
      inputs: as the net takes them, a tree of arrays (n, ...).
      names: of each.
      targets: what is true of each, a tree of arrays (n, ...) as in the data; None where it is not
        known.
      what: they are, in words.
      raw: as the data hold them, (n, ...); None of pictures of a user.
    """

    inputs: Any
    names: tuple[str, ...]
    targets: Any
    what: str
    raw: Any = None


def of_user(trained: TrainedModel, restored: Restored, words: Sequence[Path]) -> Looked:
    """Pictures, sounds, series or texts of a user, prepared as evaluation does it.

    Args:
      trained: the model.
      restored: the same, as it was read.
      words: files, folders and patterns; or texts.

    Raises:
      UserError: one cannot be read, or there is none.
    """
    kind, spec = trained.spec.input_kind, trained.spec
    if kind == "tokens":
        texts = texts_of(words, restored)
        split = Split(tokens_of(restored, texts), np.zeros(len(texts), np.int32))
        return _of_user(trained, split, texts, "texts")
    if kind == "series":
        every = [rows_of(file, spec, trained.recipe.data) for file in words]
        longest = max(rows.series.shape[1] for rows in every)
        series = np.concatenate([padded(list(rows.series), longest) for rows in every])
        split = Split(series, np.zeros(len(series), np.int32))
        return _of_user(trained, split, [name for rows in every for name in rows.names], "series")
    files, bad = pictures_of(words, *((is_sound, "sounds") if kind == "sound" else ()))
    if kind == "sound":
        heard, sounds, more = sounds_of(files, spec)
        if bad or more:
            raise cannot_be_read([*bad, *more])
        split = Split(sounds, np.zeros(len(sounds), np.int32))
        return _of_user(trained, split, [Path(name).name for name in heard], "sounds")
    if bad:
        raise cannot_be_read(bad)
    inputs = trained.preprocess(files)
    names = tuple(file.name for file in files)
    return Looked(inputs, names, None, f"{len(files):,} picture{'s' * (len(files) > 1)}")


def of_part(
    trained: TrainedModel,
    restored: Restored,
    folder: RunFolder,
    count: int,
    data_dir: Path | None = None,
) -> Looked:
    """Evenly spread examples of the validation part, or of the training part if there is none.

    The test part is left alone.

    Args:
      trained: the model.
      restored: the same, as it was read.
      folder: of its run.
      count: how many at most.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: the data are not there.
    """
    part, examples = held_out(restored, folder, data_dir)
    total = len(examples)
    places = evenly(total, count)
    return prepared(
        trained,
        examples.decoded(places),
        f"{len(places):,} of {total:,} {restored.spec.unit} of the {part} part, evenly spread",
        tuple(f"{part} {place}" for place in places),
    )


def held_out(
    restored: Restored, folder: RunFolder, data_dir: Path | None = None
) -> tuple[SplitName, Examples]:
    """The part that a run has not learnt from, but may be looked at; else the training part.

    Args:
      restored: the model.
      folder: of its run.
      data_dir: where TFDS sets lie.

    Returns:
      What it is called, and its examples.

    Raises:
      UserError: the data are not there.
    """
    part: SplitName = "validation" if "validation" in restored.spec.examples else "train"
    return part, own_part(restored, part, data_dir, folder.parts()).examples


def evenly(total: int, count: int) -> np.ndarray:
    """So many places of `total`, or all, from the first to the last and evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))


def _of_user(trained: TrainedModel, split: Split, names: Sequence[str], unit: str) -> Looked:
    found = prepared(trained, split, f"{len(names):,} {unit}", tuple(names))
    return found._replace(targets=None)


def prepared(trained: TrainedModel, split: Split, what: str, names: tuple[str, ...]) -> Looked:
    """Examples in memory as a net takes them; of a long sound each window is an example.

    Args:
      trained: the model.
      split: raw examples, as evaluation has them.
      what: they are, in words.
      names: of each.
    """
    task: Any = trained.task
    if trained.spec.input_kind == "sound":
        length = split.image_shape[0]
        task = make_task(*for_length(trained.recipe, trained.spec, length))
    raw, targets = split.inputs, split.targets
    inputs = jax.jit(task.prepared)(jax.tree.map(jnp.asarray, raw))
    if isinstance(inputs, Mapping) and "windows" in inputs:
        of, window = np.nonzero(np.asarray(inputs["there"]) > 0)
        inputs = inputs["windows"][of, window]
        names = tuple(f"{names[i]}, window {j + 1}" for i, j in zip(of, window, strict=True))
        raw, targets = raw[of], jax.tree.map(lambda leaf: leaf[of], targets)
    return Looked(inputs, names, targets, what, raw)


def check_images(trained: TrainedModel, view: str) -> None:
    """Refuses a model that is not given images.

    Raises:
      UserError: it is one.
    """
    kind = trained.spec.input_kind
    if kind != "image":
        raise UserError(
            f"cnn-jax show {view} is for models of images, and {trained.recipe.name} was trained "
            f"on {kind}, of {trained.spec.name}"
        )


def as_seen(trained: TrainedModel, inputs: Any) -> np.ndarray:
    """Prepared images (n, h, w, c) as pictures (n, h, w, 1 or 3) float32 from 0 to 1.

    They are what the net is given, resized or padded, but not normalised. Of other channels the
    first three are shown, or the first.
    """
    task: Any = trained.task
    assert isinstance(task.inputs, ImageInputs)
    found = np.clip(np.asarray(denormalise(inputs, *task.inputs.normalisation)), 0, 1)
    channels = found.shape[-1]
    return found if channels in (1, 3) else found[..., : 3 if channels > 3 else 1]
