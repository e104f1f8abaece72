import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import photos
import pytest
import toy_tfds  # noqa: F401  (registers the set)
from PIL import Image

from cnn_jax.data.catalog import load
from cnn_jax.data.recipe_data import read_data
from cnn_jax.data.splits import with_examples, with_validation
from cnn_jax.data.streaming import mean_std, streamed
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


def test_records_that_stream_are_those_in_memory(folder):
    held = load("toy_photos/plain", data_dir=folder)
    dataset = streamed(Data("toy_photos/plain", streaming=True), folder)
    assert (dataset.class_names, dataset.source) == (held.class_names, held.source)
    for part in ("train", "validation", "test"):
        one, other = getattr(dataset, part), getattr(held, part)
        assert len(one) == len(other)
        found = one.decoded(np.arange(len(one)))
        np.testing.assert_array_equal(found.images, other.images)
        np.testing.assert_array_equal(found.labels, other.labels)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_labels_are_read_once(folder, monkeypatch):
    train = streamed(Data("toy_photos/plain", streaming=True), folder).train
    before = train.labels
    monkeypatch.setattr("cnn_jax.data.sources.RecordFiles._examples", None)
    np.testing.assert_array_equal(before, train.labels)


def test_labels_are_kept_elsewhere_where_nothing_may_be_written(folder, tmp_path, monkeypatch):
    copy = tmp_path / "sets"
    shutil.copytree(folder, copy)
    for found in copy.rglob("decoded"):
        shutil.rmtree(found)
    train = streamed(Data("toy_photos/plain", streaming=True), copy).train
    (train.source._files[0].parent / "decoded").write_text("a file: no folder can be made")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = train.labels
    assert len(list((tmp_path / "cache" / "cnn_jax" / "labels").glob("*.npy"))) == 1
    monkeypatch.setattr("cnn_jax.data.sources.RecordFiles._examples", None)
    np.testing.assert_array_equal(before, train.labels)


def test_a_set_of_many_files_may_be_opened(folder):
    code = (
        "import resource, sys; from pathlib import Path; from cnn_jax import Data\n"
        "from cnn_jax.data import sources, streaming\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400)); sources._OTHER_FILES = 300\n"
        "data = Data('toy_photos/plain', streaming=True)\n"
        "streaming.streamed(data, Path(sys.argv[1])).train.source.read(0)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    soft, hard = eval(done.stdout)
    assert 300 < soft <= hard == 400


def test_flags_of_what_is_not_done_are_refused(tmp_path, monkeypatch):
    top = photos.write_folder(tmp_path / "set", 30)
    with pytest.raises(UserError, match=r"--data\.interpolation bicubic is for sets that stream"):
        read_data(Data(f"folder:{top}", image_size=8, interpolation="bicubic"))
    monkeypatch.setattr("cnn_jax.data.streaming.find_spec", lambda name: name)
    with pytest.raises(UserError, match=r"--data\.resizer simd is for sets that stream"):
        read_data(Data(f"folder:{top}", image_size=8, resizer="simd"))
    with pytest.raises(UserError, match=r"--data\.random-crop-ratio is of the parts"):
        read_data(Data(f"folder:{top}", image_size=8, random_crop_ratio=(1.0, 1.0)))


def test_parts_are_cut_as_from_a_set_in_memory(tmp_path):
    top = photos.write_folder(tmp_path / "set", 60)
    config = Data(f"folder:{top}", image_size=8)
    held = load(config.name, image_size=8)
    dataset = streamed(Data(config.name, image_size=8, streaming=True))
    for each in (lambda d: d, lambda d: with_validation(d, 9), lambda d: with_examples(d, 30)):
        held, dataset = each(held), each(dataset)
        for part in ("train", "validation", "test"):
            one, other = getattr(dataset, part), getattr(held, part)
            if other is not None:
                found = one.decoded(np.arange(len(one)))
                np.testing.assert_array_equal(found.images, other.images)
                np.testing.assert_array_equal(found.labels, other.labels)


def test_a_resizer_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_jax.data.streaming.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package cykooz-resizer: pip install"):
        streamed(Data(f"folder:{tmp_path}", image_size=8, streaming=True, resizer="simd"))


def test_secret_parts_are_not_used(folder):
    dataset = streamed(Data("toy_photos/secret", streaming=True), folder)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (20, None, 4)
    assert dataset.notes[0] == "not used: test, since its labels are secret"


def test_it_streams_where_that_is_asked_for_or_needed(tmp_path, monkeypatch):
    top = photos.write_folder(tmp_path / "set", 30)
    name = f"folder:{top}"
    assert streamed(Data(name)) is None
    assert streamed(Data(name, image_size=8)) is None
    assert streamed(Data(name, image_size=8, streaming=False)) is None
    assert streamed(Data(name, image_size=8, central_crop=0.5)) is not None
    # 30 images of 8 x 8 x 3 bytes.
    monkeypatch.setattr("cnn_jax.data.streaming.STREAMED_FROM", 5760)
    assert streamed(Data(name, image_size=8)) is not None
    assert streamed(Data("digits")) is None
    monkeypatch.setattr("cnn_jax.data.streaming.STREAMED_FROM", 5761)
    assert streamed(Data(name, image_size=8)) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "digits", "streaming": True}, "digits is held in memory and cannot stream"),
        ({"name": "shapes", "central_crop": 1.0}, "leave out --data.central-crop"),
        ({"streaming": True}, "may differ in size.*--data.image-size 224"),
        ({"streaming": False, "random_crop": (0.1, 1.0)}, "--data.random-crop needs the images"),
        ({"image_size": 8, "random_crop": (0.5, 0.1)}, "--data.random-crop 0.5 0.1 must be two"),
        ({"image_size": 8, "random_crop": (0.5, 1.1)}, "--data.random-crop 0.5 1.1 must be two"),
        ({"image_size": 8, "central_crop": 0.0}, "--data.central-crop 0 must be above 0"),
        (
            {"image_size": 8, "streaming": True, "resizer": "simd", "interpolation": "bicubic"},
            "--data.resizer simd is bilinear; for --data.interpolation bicubic",
        ),
        ({"image_size": 0, "streaming": True}, "--data.image-size 0 must be at least 1"),
        ({"image_size": 8, "evaluation_size": 0}, "--data.evaluation-size 0 must be"),
    ],
)
def test_what_cannot_be_is_said(fields, message, tmp_path):
    name = f"folder:{photos.write_folder(tmp_path / 'set', 6)}"
    with pytest.raises(UserError, match=message):
        streamed(Data(**{"name": name, **fields}))


def test_skip_bad_is_for_folders(folder):
    with pytest.raises(UserError, match=r"--data\.skip-bad is for folders of images"):
        streamed(Data("toy_photos/plain", streaming=True, skip_bad=True), folder)


def damaged_folder(top: Path) -> Path:
    photos.write_folder(top, 60)
    (top / "c0" / "0003.jpg").write_bytes((top / "c0" / "0003.jpg").read_bytes()[:-300])
    (top / "c1" / "clip").write_bytes(b"GIF89a" + bytes(30))
    (top / "c2" / "notes.txt").write_text("words")
    (top / "c2" / "caf\udce9.jpg").touch()
    return top


def test_bad_files_are_left_out_as_from_a_set_in_memory(tmp_path, capsys):
    name = f"folder:{damaged_folder(tmp_path / 'p [2024]')}"
    held = load(name, image_size=8, skip_bad=True)
    dataset = streamed(Data(name, image_size=8, streaming=True, skip_bad=True))
    assert dataset.notes == held.notes and "left out 3 files" in held.notes[1]
    for part in ("train", "test"):
        one, other = getattr(dataset, part), getattr(held, part)
        found = one.decoded(np.arange(len(one)))
        np.testing.assert_array_equal(found.images, other.images)
        np.testing.assert_array_equal(found.labels, other.labels)
    assert capsys.readouterr().err.count("left out of folder") == 2


def test_files_that_cannot_be_read_are_told_at_the_start(tmp_path):
    name = f"folder:{damaged_folder(tmp_path / 'set')}"
    with pytest.raises(UserError) as caught:
        streamed(Data(name, image_size=8, streaming=True))
    first, clip, empty, last = str(caught.value).splitlines()
    assert first == f"{name} has 2 files that cannot be read:"
    assert "clip: is of the format GIF" in clip and "is empty" in empty
    assert "--data.skip-bad" in last


def test_what_is_found_of_many_files_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cnn_jax.data.readable_files._WORTH_KEEPING", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = damaged_folder(tmp_path / "set")
    config = Data(f"folder:{top}", image_size=8, streaming=True, skip_bad=True)
    before = streamed(config)
    assert "the pixels of 62 files, once" in capsys.readouterr().err
    with monkeypatch.context() as patched:
        patched.setattr("cnn_jax.data.readable_files.survey", None)
        again = streamed(config)
    assert (len(again.train), again.notes) == (len(before.train), before.notes)
    # One that has been mended is looked at again.
    (top / "c2" / "caf\udce9.jpg").write_bytes((top / "c2" / "0002.jpg").read_bytes())
    assert len(streamed(config).train) + len(streamed(config).test) == 60


def test_grey_of_sixteen_bits_is_read_as_from_a_set_in_memory(tmp_path):
    for place in range(20):
        file = tmp_path / f"c{place % 2}" / f"{place}.png"
        file.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(place).integers(0, 4096, (6, 6)).astype(np.uint16)
        Image.fromarray(pixels).save(file)
    name = f"folder:{tmp_path}"
    held = load(name, image_size=6)
    dataset = streamed(Data(name, image_size=6, streaming=True))
    found = dataset.train.decoded(np.arange(len(dataset.train))).images
    np.testing.assert_array_equal(found[..., :1], held.train.images)
    assert held.train.images.max() > 250
    assert dataset.grey_range == held.grey_range == (0, 4095)
    assert dataset.notes == held.notes
    given = streamed(Data(name, image_size=6, streaming=True, grey_range=(0, 65535)))
    assert given.train.decoded(np.arange(5)).images.max() < 17


def test_statistics_are_published_or_of_a_fixed_sample(tmp_path, monkeypatch):
    photos.write_imagenet(tmp_path, train=6, validation=3)
    dataset = streamed(Data("imagenet2012", image_size=8, streaming=True), tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (6, 3)
    assert len(dataset.class_names) == 1000
    mean, std, how = mean_std("imagenet2012", dataset.train)
    assert mean.tolist() == [0.485, 0.456, 0.406] and std.tolist() == [0.229, 0.224, 0.225]
    assert how == "those published for imagenet2012"
    mean, _, how = mean_std("other", dataset.train)
    pixels = dataset.train.decoded(np.arange(6)).images / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)))
    assert how == "of 6 of the training images, chosen by a fixed rule"
    monkeypatch.setattr("cnn_jax.data.streaming.STATISTICS_EXAMPLES", 4)
    sample = mean_std("other", dataset.train)[0]
    assert sample.tolist() != mean.tolist()
    assert sample.tolist() == mean_std("other", dataset.train)[0].tolist()


MEMORY = """
import resource, sys
import numpy as np
from cnn_jax.data.pieces import InTurn, Pieces
from cnn_jax.data.streaming import streamed
from cnn_jax.recipe import Data

split = streamed(Data(sys.argv[1], image_size=224, streaming=True)).train
steps = range(len(split) // 32)
peaks = []
for batch in Pieces(split, InTurn(len(split), 32), np.arange(32), steps, None).batches(0):
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(len(split) * 224 * 224 * 3 // 2**20, peaks[-1] - peaks[4])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_set(tmp_path):
    top = photos.write_folder(tmp_path / "set", 6, sizes=((8, 8),))
    for index in range(1200):
        file = top / "c0" / f"link{index}.jpg"
        file.hardlink_to(top / "c0" / "0000.jpg")
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, f"folder:{top}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    pixels, grown = map(int, found.stdout.split())
    assert pixels > 150
    assert grown < 40
