"""Parts that are known by what their examples hold."""

import dataclasses
from pathlib import Path

import numpy as np
import photos
import pytest
from PIL import Image

from cnn_jax import Data, UserError
from cnn_jax.data import contents
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.joined import gathered
from cnn_jax.data.parts import Parts, matched
from cnn_jax.data.recipe_data import load_data


def folder(top: Path, count: int = 20, names=("cat", "dog")) -> Path:
    """Images of one value each, all different."""
    for label, name in enumerate(names):
        (top / name).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            Image.new("L", (4, 4), 60 * label + place).save(top / name / f"{place:03d}.png")
    return top


def values(split) -> list[int]:
    if not isinstance(split, Split):
        split = split.decoded(np.arange(len(split)))
    return split.images[:, 0, 0, 0].tolist()


def parts_values(dataset) -> list[list[int]]:
    return [values(part) for part in (dataset.train, dataset.validation, dataset.test)]


def test_equal_digests_are_matched_once_each():
    wanted = np.array([5, 7, 5, 9, 5], np.uint64)
    there = np.array([7, 5, 1, 5], np.uint64)
    assert matched(wanted, there).tolist() == [1, 0, 3, -1, -1]
    assert matched(wanted, there[:0]).tolist() == [-1] * 5


@pytest.mark.parametrize("streaming", [False, True])
def test_renamed_files_leave_the_parts_and_their_order_as_they_were(streaming, tmp_path):
    config = Data(
        f"folder:{folder(tmp_path / 'a')}", validation=0.25, image_size=4, streaming=streaming
    )
    first = load_data(config)
    parts = Parts.of(first)
    assert parts.kind == ("files" if streaming else "pixels")
    before = parts_values(first)
    for place, file in enumerate(sorted((tmp_path / "a" / "cat").iterdir())):
        file.rename(file.with_name(f"{'zyx'[place % 3]}{place}.png"))
    # Cut anew, the parts are others.
    assert parts_values(load_data(config)) != before
    again = load_data(config, remembered=parts)
    assert parts_values(again) == before
    assert parts.same(Parts.of(again))


def test_examples_that_were_left_out_stay_out(tmp_path):
    config = Data(f"folder:{folder(tmp_path / 'a')}", validation=0.25, examples=10)
    first = load_data(config)
    parts = Parts.of(first)
    for file in (tmp_path / "a" / "dog").iterdir():
        file.rename(file.with_name(f"x{20 - int(file.stem):03d}.png"))
    assert parts_values(load_data(config)) != parts_values(first)
    assert parts_values(load_data(config, remembered=parts)) == parts_values(first)


def test_what_has_changed_is_counted(tmp_path):
    top = folder(tmp_path / "a")
    parts = Parts.of(load_data(Data(f"folder:{top}")))

    def changes() -> str:
        return parts.changes(Parts.of(load_data(Data(f"folder:{top}"))))

    assert changes() == ""
    # The same pixels in a file of another kind and name are the same.
    Image.open(top / "cat" / "003.png").save(top / "cat" / "other.bmp")
    (top / "cat" / "003.png").unlink()
    assert changes() == ""
    Image.new("L", (4, 4), 200).save(top / "cat" / "004.png")
    assert changes() == "1 are no longer there, or changed, 1 are new, or changed"
    Image.new("L", (4, 4), 201).save(top / "cat" / "new.png")
    assert changes() == "1 are no longer there, or changed, 2 are new, or changed"
    (top / "dog" / "007.png").rename(top / "cat" / "from.png")
    assert changes().endswith(", 1 are of another class or target")


def test_parts_come_back_from_their_file(tmp_path):
    parts = Parts.of(load_data(Data("digits", validation=100)))
    assert Parts.read(tmp_path / "parts.npz") is None
    parts.write(tmp_path / "parts.npz")
    found = Parts.read(tmp_path / "parts.npz")
    assert found.same(parts) and found.place == parts.place and found.reader == parts.reader
    assert (tmp_path / "parts.npz").stat().st_size < 12 * 1797
    (tmp_path / "parts.npz").write_bytes((tmp_path / "parts.npz").read_bytes()[:300])
    with pytest.raises(UserError, match=r"parts\.npz cannot be read .* remove it to go on"):
        Parts.read(tmp_path / "parts.npz")


def test_copies_of_what_is_learnt_from_are_told():
    rng = np.random.default_rng(0)

    def split(images):
        return Split(images, np.zeros(len(images), np.int32))

    images = rng.integers(0, 256, (10, 4, 4, 1), np.uint8)
    dataset = Dataset("a", ("x",), split(images[:6]), None, split(images[6:]), "here")
    assert Parts.of(dataset).twins() == ""
    copied = dataclasses.replace(dataset, test=split(images[4:]))
    assert Parts.of(copied).twins() == "2 of the 6 test examples are learnt from too, as copies"


def test_of_large_sets_names_and_sizes_stand_for_the_content(tmp_path, monkeypatch):
    top = photos.write_folder(tmp_path / "set", 30)
    config = Data(f"folder:{top}", image_size=8, streaming=True)
    monkeypatch.setattr(contents, "READ_BYTES", 100)
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self))
    parts = Parts.of(load_data(config))
    assert parts.kind == "names" and not read
    assert len(set(parts.all().tolist())) == 30
    monkeypatch.undo()
    file = top / "c0" / "0000.jpg"
    file.write_bytes(file.read_bytes() + b"more")
    now = Parts.of(load_data(config), "names")
    assert parts.changes(now) == "1 are no longer there, or changed, 1 are new, or changed"


def test_examples_of_several_parts_are_gathered_in_order():
    labels = np.arange(6, dtype=np.int32)
    images = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (6, 2, 2, 1)).copy()
    held = [Split(images[:2], labels[:2]), Split(images[2:], labels[2:])]
    found = gathered(held, np.array([5, 0, 2, 1]))
    assert found.labels.tolist() == values(found) == [5, 0, 2, 1]
