"""How fast a set can be read, step by step of the way to a device."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from cnn_jax import augment as augmentation
from cnn_jax.augment import training_batch
from cnn_jax.data.feed import Feed
from cnn_jax.data.images import at_depth, eight_bits, in_channels, opened
from cnn_jax.data.memory import Order
from cnn_jax.data.pieces import Pieces, Shuffled, check_workers, default_workers
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.data.streaming import streamed
from cnn_jax.devices.mesh import batch_sharding, make_mesh, placed
from cnn_jax.recipe import Augment, Data, Preprocess

_EXAMPLES = 64
"""Images that the steps before the workers are measured on, again and again."""

Rows = list[dict[str, str | float]]


def reading_rates(
    config: Data,
    data_dir: Path | None,
    augment: Augment,
    *,
    batch_size: int,
    workers: int | None,
    seconds: float,
) -> Rows:
    """Images/s of reading, decoding, cropping, workers, copying and augmenting, a row each.

    Args:
      config: a set that streams.
      data_dir: where TFDS sets lie.
      augment: what is changed on the device.
      batch_size: examples in a batch.
      workers: processes that read, by default as many as there are processors.
      seconds: how long each step is measured.

    Raises:
      UserError: the set cannot stream, or something does not fit it.
    """
    check_workers(workers)
    dataset = streamed(config, data_dir)
    assert dataset is not None and isinstance(dataset.train, StreamedSplit)
    augmentation.check(augment, Preprocess(), dataset.train.image_shape)
    rows = _alone(dataset.train, seconds)
    workers = default_workers() if workers is None else workers
    who = f"{workers} worker{'s' * (workers != 1)}" if workers else "threads"
    rate, batch = _together(dataset.train, batch_size, workers, seconds)
    rows.append({"what": f"all of these, {who}", "images/s": rate})
    return rows + _on_device(batch, len(dataset.class_names), augment, seconds)


def _alone(split: StreamedSplit, seconds: float) -> Rows:
    """Steps in one thread, each given what the one before made."""
    places = np.random.default_rng(0).permutation(len(split))[:_EXAMPLES].tolist()
    source, view = split.source, split.training
    of = (lambda place: place) if split.places is None else (lambda p: int(split.places[p]))
    read = [source.read(of(place)) for place in places]

    def decoded(content: bytes) -> Image.Image:
        values = at_depth(content, full_depth=False)
        if values is not None:
            return Image.fromarray(in_channels(values, 3, "an image"))
        with opened(content) as image:
            image.load()
            return eight_bits(image)

    whole = [decoded(each.content) for each in read]
    side = view.shape[1], view.shape[0]
    numbers = np.random.default_rng(0).random((len(read), 40))

    def per_second(action: Callable[[int], object]) -> float:
        return _rate(action, len(read), seconds)

    return [
        {"what": "read, one thread", "images/s": per_second(lambda i: source.read(of(places[i])))},
        {"what": "decode, one thread", "images/s": per_second(lambda i: decoded(read[i].content))},
        {
            "what": "resize the whole, one thread",
            "images/s": per_second(lambda i: whole[i].resize(side, Image.Resampling.BILINEAR)),
        },
        {
            "what": "decode, crop and resize, one thread",
            "images/s": per_second(lambda i: view.image(read[i].content, read[i].name, numbers[i])),
        },
    ]


def _together(
    split: StreamedSplit, batch_size: int, workers: int, seconds: float
) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Images/s of what workers hand over, once they have begun, and a batch of it."""
    order = Shuffled(Order(0, len(split), batch_size))
    pieces = Pieces(split, order, np.arange(batch_size), range(2**31), 0)
    feed = Feed(lambda: pieces.batches(workers), 1)
    with contextlib.closing(feed):
        # What was made ready while nobody asked for it does not count.
        for _ in range(4 + workers * 4 * pieces.size // batch_size):
            batch = feed.get()
        rate = _rate(lambda _: feed.get(), 1, seconds) * batch_size
    return rate, (batch.inputs, batch.targets)


def _on_device(
    batch: tuple[np.ndarray, np.ndarray], classes: int, augment: Augment, seconds: float
) -> Rows:
    """Copying a batch to one device, and what is changed at random there."""
    mesh = make_mesh(devices=jax.local_devices()[:1])
    sharding, (images, labels) = batch_sharding(mesh), batch
    size, channels = len(images), images.shape[-1]

    def copy(_: int) -> None:
        jax.block_until_ready(placed(images.copy(), sharding))

    half = np.full(channels, 0.5, np.float32)

    @jax.jit
    def change(key: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
        places = jax.numpy.arange(size)
        changed = training_batch(
            key, images, jax.nn.one_hot(labels, classes), 0 * places, places,
            run_key=key, preprocess=Preprocess(), augment=augment,
            mean=half, std=half,
        )  # fmt: skip
        return changed.inputs

    there, key = (placed(images, sharding), placed(labels, sharding)), jax.random.key(0)
    jax.block_until_ready(change(key, *there))
    device = jax.local_devices()[0].device_kind
    return [
        {"what": f"copy to {device}", "images/s": _rate(copy, 1, seconds) * size},
        {
            "what": f"augment on {device}",
            "images/s": _rate(lambda _: jax.block_until_ready(change(key, *there)), 1, seconds)
            * size,
        },
    ]


def _rate(action: Callable[[int], object], count: int, seconds: float) -> float:
    """How often a second it can be called with 0 to count - 1, again and again."""
    done, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        action(done % count)
        done += 1
    return done / (now - began)
