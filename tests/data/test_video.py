"""Sets of videos, from folders of frames, files and tables."""

import sys

import jax
import numpy as np
import pytest
from PIL import Image
from video_sets import folder_of_classes, moving_square, write_frames

from cnn_jax import Data, UserError, Video
from cnn_jax.augment import clips
from cnn_jax.data import load
from cnn_jax.data.recipe_data import data_spec, read_data
from cnn_jax.data.video_files import lengths, read_video
from cnn_jax.recipe import Columns


def test_a_folder_a_class_holds_folders_of_frames(tmp_path):
    folder_of_classes(tmp_path, count=10)
    (tmp_path / "left" / "notes.txt").write_text("hello")
    found = load(f"video:{tmp_path}")
    assert found.class_names == ("left", "right")
    assert len(found.train) + len(found.test) == 20
    assert found.train.inputs.shape[1:] == (9, 16, 16, 3) and found.train.inputs.dtype == np.uint8
    told = " ".join(found.notes)
    assert "videos are 4 to 9 frames long" in told and "no video: left/notes.txt" in told
    ends = lengths(found.train.inputs)
    assert set(ends) <= set(range(4, 10))
    for clip, end in zip(found.train.inputs, ends, strict=True):
        assert clip[:end].any(axis=(1, 2, 3)).all() and not clip[end:].any()
    spec = data_spec(found)
    assert spec.input_kind == "clip" and spec.unit == "examples"
    there = np.concatenate([c[:e] for c, e in zip(found.train.inputs, ends, strict=True)]) / 255
    np.testing.assert_allclose(spec.mean, there.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(spec.std, there.std((0, 1, 2)), rtol=1e-6)


def test_a_class_may_be_a_link_to_its_folder(tmp_path):
    folder_of_classes(tmp_path / "there", count=10)
    (tmp_path / "set").mkdir()
    for label in ("left", "right"):
        (tmp_path / "set" / label).symlink_to(f"../there/{label}")
    found = load(f"video:{tmp_path / 'set'}")
    assert found.class_names == ("left", "right")
    assert len(found.train) + len(found.test) == 20


def test_frames_are_taken_in_the_order_of_their_numbers(tmp_path):
    write_frames(tmp_path / "odd", moving_square("left", 2), names="{}²³.png")
    (tmp_path / "odd" / "0²³.png").rename(tmp_path / "odd" / "².png")
    assert read_video(tmp_path / "odd").stored == 2
    clip = moving_square("left", 12)
    folder = write_frames(tmp_path / "clip", clip, names="frame{}.png")
    np.testing.assert_array_equal(read_video(folder).frames, clip)
    thinned = read_video(folder, size=8, most=5)
    assert thinned.frames.shape == (4, 8, 8, 3) and thinned.stored == 12
    np.testing.assert_array_equal(read_video(folder, most=5).frames, clip[::3])


def test_parts_folds_and_groups_are_told_by_folders_and_names(tmp_path):
    for part in ("train", "test"):
        folder_of_classes(tmp_path / "parts" / part, count=2)
    found = load(f"video:{tmp_path / 'parts'}")
    assert (len(found.train), len(found.test)) == (4, 4)
    for fold in (1, 2, 10):
        folder_of_classes(tmp_path / "folds" / f"fold{fold}", count=2)
    found = load(f"video:{tmp_path / 'folds'}")
    assert len(found.test) == 4 and any("the last of the 3 folds" in each for each in found.notes)
    config = Data(f"video:{tmp_path / 'folds'}", folds=3)
    assert read_data(config).fold_names == ("1", "2", "10")
    for label in ("left", "right"):
        for group in range(1, 6):
            for part in range(1, 3):
                name = f"v_{label}_g{group:02}_c{part:02}"
                write_frames(tmp_path / "ucf" / label / name, moving_square(label))
    found = load(f"video:{tmp_path / 'ucf'}", test_part=4)
    assert len(set(found.train.groups)) == 8 and len(found.test) == 4
    assert not set(found.train.groups) & set(found.test.groups)


def test_a_table_tells_classes_splits_and_groups(tmp_path):
    folder_of_classes(tmp_path / "clips", count=4)
    rows = [
        f"clips/{label}/clip{place:02},{label},{'test' if place == 3 else 'train'},{place},long"
        for label in ("left", "right")
        for place in range(4)
    ]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["file,label,split,recording,note", *rows]))
    found = load(f"video:{table}", columns=Columns(group="recording"))
    assert found.class_names == ("left", "right")
    assert (len(found.train), len(found.test)) == (6, 2) and len(set(found.train.groups)) == 3


def test_frames_of_a_video():
    counts = np.array([1, 3, 8, 40])
    segments = np.asarray(clips.fixed_places(counts, Video(frames=8)))[:, 0]
    assert segments[0].tolist() == [0] * 8
    assert segments[1].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert segments[2].tolist() == list(range(8))
    assert segments[3].tolist() == [2, 7, 12, 17, 22, 27, 32, 37]
    dense = np.asarray(clips.fixed_places(counts, Video(4, "dense", step=2, clips=3)))
    assert dense[3].tolist() == [[0, 2, 4, 6], [16, 18, 20, 22], [33, 35, 37, 39]]
    assert dense[1].tolist() == [[0, 2, 1, 0]] * 3


@pytest.mark.parametrize("config", [Video(8), Video(5, "dense", step=3)])
def test_random_frames_are_there_and_in_order(config):
    counts = np.array([1, 2, 7, 8, 9, 30])
    draw = jax.jit(lambda key: clips.random_places(key, counts, config))
    every = np.stack([np.asarray(draw(jax.random.key(seed))) for seed in range(60)])
    assert (every >= 0).all() and (every < counts[:, None]).all()
    longest = every[:, -1]
    assert (np.diff(longest) >= 0).all()
    if config.sampling == "segments":
        parts = np.arange(9) * 30 // 8
        assert (longest >= parts[:-1]).all() and (longest <= parts[1:]).all()
        assert longest[:, 0].min() == 0 and longest[:, 0].max() == 3
    else:
        assert (np.diff(longest) == 3).all()
        assert longest.min() == 0 and longest.max() == 29


def test_digits_that_move():
    found = load("moving_digits:frames=5,size=16")
    assert found.class_names == ("right", "down", "left", "up")
    assert found.train.inputs.shape == (1437, 5, 16, 16, 1)
    first, label = found.train.inputs[0], found.train.labels[0]
    step = [(0, 1), (1, 0), (0, -1), (-1, 0)][label]
    ways = [np.roll(first[0, ..., 0], np.multiply(step, n), (0, 1)) for n in (1, 2)]
    assert any((way == first[1, ..., 0]).all() for way in ways)
    digits = load("moving_digits:frames=5,size=16,label=digit")
    np.testing.assert_array_equal(digits.train.inputs, found.train.inputs)
    assert digits.class_names == tuple("0123456789")
    for name, message in (
        ("moving_digits:label=digits", "did you mean 'digit'"),
        ("moving_digits:frame=3", "did you mean 'frames'"),
        ("moving_digits:size=4", "size must be a whole number at least 8"),
    ):
        with pytest.raises(UserError, match=message):
            load(name)


def refused(name, message, **options):
    with pytest.raises(UserError, match=message):
        load(f"video:{name}", **options)


def test_what_cannot_be_a_set_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(
        tmp_path / "empty", "holds no videos: neither files called .mp4.* nor folders of frames"
    )
    refused(tmp_path / "nothing", "there is no")
    write_frames(tmp_path / "bare" / "clip", moving_square("left"))
    refused(tmp_path / "bare", "clip of video:.* lies in no folder of a class")
    write_frames(tmp_path / "one" / "left" / "clip", moving_square("left"))
    refused(tmp_path / "one", "one class only, left")
    folder_of_classes(tmp_path / "above" / "train", count=2)
    write_frames(tmp_path / "above" / "clip", moving_square("left"))
    refused(tmp_path / "above", "clip of video:.* lies in no folder of a class")
    (tmp_path / "single.mp4").write_bytes(b"x")
    refused(tmp_path / "single.mp4", "is one video; give the folder")


def test_bad_videos_are_named(tmp_path):
    folder_of_classes(tmp_path, count=4)
    Image.new("RGB", (9, 7)).save(tmp_path / "left" / "clip00" / "99.png")
    refused(tmp_path, r"clip00: holds frames of different sizes, 7x9 and 16x16 pixels")
    found = load(f"video:{tmp_path}", skip_bad=True)
    assert len(found.train) + len(found.test) == 7
    assert any("left out" in note and "clip00" in note for note in found.notes)
    (tmp_path / "left" / "clip00" / "99.png").write_bytes(b"no image")
    refused(tmp_path, r"99.png.*")
    (tmp_path / "left" / "clip00" / "99.png").unlink()
    write_frames(tmp_path / "left" / "wide", np.zeros((3, 16, 20, 3), np.uint8))
    refused(tmp_path, r"differ in size \(16x16, 16x20 pixels\).*--data.image-size 64")
    still = write_frames(tmp_path / "left" / "wide2", moving_square("left", 1))
    found = load(f"video:{tmp_path}", image_size=16)
    assert any(f"one frame only, which stands still: {still}" in note for note in found.notes)


def test_without_a_reader_it_is_said_what_is_missing(tmp_path, monkeypatch):
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "clip.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    refused(tmp_path, r"read by PyAV.*pip install 'cnn-jax\[video\]'")


def write_file(file, clip, rate=8):
    """Writes a clip as a file, without loss of motion."""
    av = pytest.importorskip("av")
    file.parent.mkdir(parents=True, exist_ok=True)
    # The index at the head of a file is read even where its end is lost.
    options = {"movflags": "faststart"}
    with av.open(str(file), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 10**6
        for frame in clip:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file


def test_files_of_videos_are_read(tmp_path):
    clip = moving_square("left", 20, side=32)
    file = write_file(tmp_path / "clip.mp4", clip)
    found = read_video(file)
    assert found.frames.shape == clip.shape and found.stored == 20
    assert np.abs(found.frames.astype(int) - clip).mean() < 8
    assert read_video(file, size=16, most=10).frames.shape == (10, 16, 16, 3)


def test_files_that_are_cut_off_or_no_videos_are_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3)).astype(np.uint8)
    whole = write_file(tmp_path / "clip.mp4", noise).read_bytes()
    short = tmp_path / "short.mp4"
    for content, message in (
        (whole[: len(whole) // 2], "cut off: it should hold 40 frames, and|cannot be read as a v"),
        (whole[:40], "holds no pictures that move|cannot be read as a video"),
        (b"no video at all", "cannot be read as a video"),
        (b"", "is empty"),
    ):
        short.write_bytes(content)
        with pytest.raises(UserError, match=rf"short.mp4: .*({message})"):
            read_video(short)
