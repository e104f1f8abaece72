import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from registry_clients import toy_arrays
from rich.console import Console

from cnn_jax.data.tfds_writer import write

CLASS_NAMES = tuple("abcdefghij")


def console() -> Console:
    return Console(file=io.StringIO())


def test_plain_tfds_reads_what_was_written(tmp_path):
    arrays = toy_arrays((28, 28, 1))
    write("mnist", arrays, tmp_path, console())
    builder = tfds.builder("mnist", data_dir=tmp_path)
    catalog = tfds.builder_cls("mnist")
    assert builder.is_prepared()
    assert builder.info.full_name == f"mnist/{catalog.VERSION}"
    assert builder.info.file_format.value == "array_record"
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == {
        "train": 20,
        "test": 10,
    }
    assert builder.info.features["label"].names == [str(digit) for digit in range(10)]
    assert builder.info.description == "The MNIST database of handwritten digits."
    assert builder.info.as_proto.module_name == catalog.__module__
    for split, (images, labels) in arrays.items():
        found = list(builder.as_data_source(split))
        assert found[0]["image"].shape == (28, 28, 1)
        # In some order, each once, with its own label.
        by_bytes = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
        assert {each["image"].tobytes(): each["label"] for each in found} == by_bytes
        assert [each["label"] for each in found] != labels.tolist()


def test_ids_and_class_names_are_those_of_the_catalog(tmp_path):
    images = np.zeros((3, 32, 32, 3), np.uint8)
    arrays = {"train": (images, np.arange(3) % 10), "test": (images, np.arange(3) % 10)}
    write("cifar10", arrays, tmp_path, console(), CLASS_NAMES)
    builder = tfds.builder("cifar10", data_dir=tmp_path)
    assert builder.info.features["label"].names == list(CLASS_NAMES)
    ids = [each["id"] for each in builder.as_data_source("train")]
    assert sorted(ids) == [b"train_00000", b"train_00001", b"train_00002"]
    ids = [each["id"] for each in builder.as_data_source("test")]
    assert sorted(ids) == [b"test_00000", b"test_00001", b"test_00002"]


def test_the_catalog_is_not_changed(tmp_path):
    before = tfds.builder_cls("mnist")
    write("mnist", toy_arrays((28, 28, 1)), tmp_path, console())
    assert tfds.builder_cls("mnist") is before


def test_a_kill_leaves_nothing_that_is_taken_for_whole(tmp_path):
    program = (
        "import io, time; from pathlib import Path; from rich.console import Console\n"
        "from registry_clients import toy_arrays\n"
        "from cnn_jax.data import tfds_writer\n"
        "png = tfds_writer._png\n"
        "def slow(image):\n"
        f"    Path({str(tmp_path / 'started')!r}).touch(); time.sleep(0.2); return png(image)\n"
        "tfds_writer._png = slow\n"
        f"tfds_writer.write('mnist', toy_arrays((28, 28, 1), 600), Path({str(tmp_path)!r}), "
        "Console(file=io.StringIO()))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [each.name.split(".")[0] for each in (tmp_path / "mnist").iterdir()] == ["incomplete"]
    assert not tfds.builder("mnist", data_dir=tmp_path).is_prepared()
    write("mnist", toy_arrays((28, 28, 1)), tmp_path, console())
    assert len(tfds.builder("mnist", data_dir=tmp_path).as_data_source("train")) == 20


def test_labels_and_images_must_be_as_many(tmp_path):
    images, labels = toy_arrays((28, 28, 1))["train"]
    with pytest.raises(ValueError, match="shorter"):
        write("mnist", {"train": (images, labels[:-1])}, tmp_path, console())
    assert not tfds.builder("mnist", data_dir=tmp_path).is_prepared()
