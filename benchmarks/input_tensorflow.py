"""tf.data, which decodes only the part of a JPEG that is taken; see input_pipelines.py."""

import sys
import time
from pathlib import Path

import tensorflow as tf
from input_measured import measured


def main(folder: str, side: int, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints what is measured."""
    files = sorted(str(path) for path in Path(folder, "train").glob("*/*.*"))

    jpeg = files[0].endswith(".jpg")

    def read(path: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        whole = None if jpeg else tf.image.decode_png(content, channels=3)
        start, size, _ = tf.image.sample_distorted_bounding_box(
            tf.image.extract_jpeg_shape(content) if whole is None else tf.shape(whole),
            tf.zeros((1, 0, 4)),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.stack([start[0], start[1], size[0], size[1]])
        if whole is None:
            image = tf.image.decode_and_crop_jpeg(content, window, channels=3)
        else:
            image = tf.slice(whole, start, size)
        resized = tf.image.resize(image, (side, side), antialias=True)
        return tf.cast(tf.round(resized), tf.uint8)

    options = tf.data.Options()
    options.threading.private_threadpool_size = workers
    began = time.perf_counter()
    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    dataset = dataset.map(read, num_parallel_calls=workers).batch(batch_size).prefetch(2)
    batches = dataset.with_options(options).as_numpy_iterator()
    measured(batches, began, batch_size, warm, seconds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]))
