"""Images/s of tf.data, which decodes only the part that is taken; see input_pipelines.py."""

import sys
import time
from pathlib import Path

import tensorflow as tf


def main(folder: str, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints images/s."""
    files = sorted(str(path) for path in Path(folder, "train").glob("*/*.jpg"))

    def read(path: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        start, size, _ = tf.image.sample_distorted_bounding_box(
            tf.image.extract_jpeg_shape(content),
            tf.zeros((1, 0, 4)),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.stack([start[0], start[1], size[0], size[1]])
        image = tf.image.decode_and_crop_jpeg(content, window, channels=3)
        resized = tf.image.resize(image, (224, 224), antialias=True)
        return tf.cast(tf.round(resized), tf.uint8)

    options = tf.data.Options()
    options.threading.private_threadpool_size = workers
    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    dataset = dataset.map(read, num_parallel_calls=workers).batch(batch_size).prefetch(2)
    batches = dataset.with_options(options).as_numpy_iterator()
    for _ in range(warm):
        next(batches)
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        next(batches)
        count += batch_size
    print(count / (now - began))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]))
