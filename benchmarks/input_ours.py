"""Our workers; see input_pipelines.py."""

import contextlib
import itertools
import sys
import time

import numpy as np
from input_measured import measured

from cnn_jax.data.feed import Feed
from cnn_jax.data.memory import Order
from cnn_jax.data.pieces import Pieces, Shuffled
from cnn_jax.data.streaming import streamed
from cnn_jax.recipe import Data


def main(
    folder: str, side: int, batch_size: int, workers: int, warm: int, seconds: float, resizer: str
) -> None:
    """Prints what is measured."""
    config = Data(f"folder:{folder}", image_size=side, random_crop=(0.08, 1.0), resizer=resizer)
    dataset = streamed(config)
    assert dataset is not None
    order = Shuffled(Order(0, len(dataset.train), batch_size))
    began = time.perf_counter()
    pieces = Pieces(dataset.train, order, np.arange(batch_size), range(2**31), 0)
    with contextlib.closing(Feed(lambda: pieces.batches(workers), 2)) as feed:
        measured((feed.get() for _ in itertools.count()), began, batch_size, warm, seconds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]), sys.argv[7])
