"""Images/s that our workers hand over; see input_pipelines.py."""

import contextlib
import sys
import time

import numpy as np

from cnn_jax.data.feed import Feed
from cnn_jax.data.memory import Order
from cnn_jax.data.pieces import Pieces, Shuffled
from cnn_jax.data.streaming import streamed
from cnn_jax.recipe import Data


def main(folder: str, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints images/s."""
    config = Data(f"folder:{folder}", image_size=224, random_crop=(0.08, 1.0))
    dataset = streamed(config)
    assert dataset is not None
    order = Shuffled(Order(0, len(dataset.train), batch_size))
    pieces = Pieces(dataset.train, order, np.arange(batch_size), range(2**31), 0)
    with contextlib.closing(Feed(lambda: pieces.batches(workers), 2)) as feed:
        for _ in range(warm):
            feed.get()
        count, began = 0, time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            feed.get()
            count += batch_size
    print(count / (now - began))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]))
