"""Folders and tables of deep images: learnt from, predicted and evaluated with all their values."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from cnn_jax import Data, Model, Optimizer, Recipe, from_arrays, steps
from cnn_jax.data.catalog import load
from cnn_jax.data.recipe_data import data_spec, read_data
from cnn_jax.data.resizing import resize
from cnn_jax.errors import UserError
from cnn_jax.evaluation import judged
from cnn_jax.evaluation.as_taken import view_of
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict, read_picture
from cnn_jax.json_values import from_json, to_json
from cnn_jax.recipe import Columns
from cnn_jax.restored import restore
from cnn_jax.runs.run import train

# Each value of 12 bits once, in 16 images.
EVERY = np.random.default_rng(0).permutation(4096).astype(np.uint16).reshape(16, 16, 16)


def write(folder, images, **options):
    for place, image in enumerate(images):
        file = folder / "ab"[place % 2] / f"{place:02d}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, image, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a set of 12 bits, and a run that was trained on it."""
    top = tmp_path_factory.mktemp("deep")
    write(top / "set" / "train", EVERY, compression="zlib")
    write(top / "set" / "val", EVERY[:2] // 2)
    write(top / "set" / "test", EVERY[:4] // 3)
    recipe = Recipe(
        name="deep",
        data=Data(f"folder:{top / 'set'}"),
        model=Model("simple_cnn", options={"widths": (2,), "hidden": (2,)}),
        optimizer=Optimizer("sgd", learning_rate=0.01),
        batch_size=4,
        duration=steps(1),
    )
    train(recipe, top / "run", console=Console(file=io.StringIO()))
    return recipe, top


def test_twelve_bits_keep_all_their_values(run):
    recipe, top = run
    dataset = read_data(recipe.data)
    assert dataset.train.images.dtype == np.uint16 and dataset.grey_range is None
    assert sorted(dataset.train.images.ravel().tolist()) == list(range(4096))
    np.testing.assert_array_equal(dataset.train.images[0, ..., 0], EVERY[0])
    np.testing.assert_array_equal(dataset.test.images[1, ..., 0], EVERY[2] // 3)
    spec = data_spec(dataset)
    assert spec.value_range == (0, 4095)
    np.testing.assert_allclose(spec.mean, [0.5], rtol=1e-12)
    stored = json.loads((top / "run" / "data.json").read_text())
    assert stored["inputs"]["image"]["dtype"] == "uint16" and stored["value_range"] == [0, 4095]
    assert "images are uint16; their values 0 to 4095" in spec.notes[-1]
    # The same as arrays are the same set.
    parts = {
        name: (getattr(dataset, name).images, getattr(dataset, name).labels)
        for name in ("train", "validation", "test")
    }
    arrays = from_arrays(parts.pop("train"), **parts, class_names=("a", "b"))
    assert dataclasses.replace(data_spec(arrays), name=spec.name, notes=spec.notes) == spec


def test_a_file_is_predicted_as_it_was_learnt_from(run, tmp_path, capsys):
    restored = restore(run[1] / "run")
    file = run[1] / "set" / "test" / "a" / "00.tif"
    expected = (EVERY[0] // 3)[..., None]
    np.testing.assert_array_equal(read_picture(view_of(restored), True, file), expected)
    same = tmp_path / "same.png"
    Image.fromarray(expected[..., 0]).save(same)
    large = tmp_path / "large.tif"
    tifffile.imwrite(large, np.kron(expected[..., 0], np.ones((3, 3), np.uint16)))
    first, second, third = predict(restored, [file, same, large])
    assert first.probabilities == second.probabilities
    np.testing.assert_allclose(third.probabilities, first.probabilities, atol=0.05)
    other = tmp_path / "other.png"
    Image.fromarray(expected[..., 0].astype(np.uint8)).save(other)
    with pytest.raises(UserError, match=r"other\.png: is read as uint8, and uint16 is asked for"):
        predict(restored, [other])
    several = tmp_path / "several.tif"
    tifffile.imwrite(several, np.zeros((16, 16, 5), np.uint16), planarconfig="contig")
    with pytest.raises(UserError, match=r"several\.tif: has 5 channels, and 1 are asked for"):
        predict(restored, [several])
    # Nothing was read by values of its own.
    assert capsys.readouterr().err == ""


def test_a_run_is_evaluated_and_goes_on(run, tmp_path, monkeypatch):
    recipe, top = run
    own = evaluate(top / "run")
    assert own["examples"] == 4
    write(tmp_path / "other", EVERY[:4] // 3)
    other = evaluate(top / "run", dataset=f"folder:{tmp_path / 'other'}")
    assert other["examples"] == 4 and other["loss"] == pytest.approx(own["loss"], rel=1e-6)
    # Where it is large it is read as it is needed.
    monkeypatch.setattr(judged, "HELD_BYTES", 0)
    large = evaluate(top / "run", dataset=f"folder:{tmp_path / 'other'}", workers=0)
    assert large["loss"] == other["loss"]
    np.savez(
        tmp_path / "bytes.npz",
        x=np.zeros((20, 16, 16, 1), np.uint8),
        y=np.arange(20) % 2,
        class_names=["a", "b"],
    )
    with pytest.raises(UserError, match="images are uint8, and the model was trained on uint16"):
        evaluate(top / "run", dataset=f"npz:{tmp_path / 'bytes.npz'}", split="all")
    output = io.StringIO()
    longer = dataclasses.replace(recipe, duration=steps(2))
    console = Console(file=output, width=1000)
    train(longer, top / "run", console=console, allow_change=True)
    assert "going on from the checkpoint of step 1" in output.getvalue()


def test_a_table_of_floats_of_five_channels(tmp_path, capsys):
    images = np.random.default_rng(1).normal(200, 50, (13, 9, 12, 5)).astype(np.float32)
    images[12, 3, 4, 1] = np.inf
    lines = ["file,class"]
    for place, image in enumerate(images):
        options = {"tile": (16, 16)} if place % 2 else {"compression": "zlib"}
        tifffile.imwrite(tmp_path / f"{place}.tif", image, planarconfig="contig", **options)
        lines.append(f"{place}.tif,{'xy'[place % 2]}")
    (tmp_path / "set.csv").write_text("\n".join(lines))
    name, columns = f"csv:{tmp_path / 'set.csv'}", Columns(targets=("class",))
    with pytest.raises(UserError, match=r"(?s)12\.tif: holds 1 values that are no finite numbers"):
        load(name, columns=columns)
    dataset = load(name, columns=columns, skip_bad=True)
    assert "left out" in capsys.readouterr().err
    found = np.concatenate([dataset.train.images, dataset.test.images])
    assert found.dtype == np.float32
    assert {each.tobytes() for each in found} == {each.tobytes() for each in images[:12]}
    spec = data_spec(dataset)
    train_images = dataset.train.images
    assert spec.value_range == (float(train_images.min()), float(train_images.max()))
    low, high = spec.value_range
    means = train_images.astype(float).mean((0, 1, 2))
    np.testing.assert_allclose(np.array(spec.mean) * (high - low) + low, means, rtol=1e-6)
    smaller = load(name, columns=columns, skip_bad=True, image_size=6)
    assert smaller.train.images.shape[1:] == (6, 6, 5)
    np.testing.assert_array_equal(smaller.train.images, resize(train_images, 6))


def test_png_of_sixteen_bits_is_deep_where_that_is_asked_for(tmp_path):
    for place, image in enumerate(EVERY):
        file = tmp_path / "ab"[place % 2] / f"{place:02d}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(file)
    name = f"folder:{tmp_path}"
    deep, plain = load(name, full_depth=True), load(name)
    assert deep.train.images.dtype == np.uint16 and deep.grey_range is None
    assert "scaled" not in " ".join(deep.notes)
    assert plain.train.images.dtype == np.uint8 and plain.grey_range == (0, 4095)
    assert "scaled to 8; --data.full-depth keeps all values" in plain.notes[0]
    scaled = np.floor(deep.train.images * (255 / 4095) + 0.5)
    np.testing.assert_array_equal(plain.train.images, scaled)


def test_deep_images_do_not_stream_and_bytes_do(tmp_path, run):
    config = dataclasses.replace(run[0].data, streaming=True, image_size=16)
    with pytest.raises(UserError, match=r"(?s)such as .*00\.tif\. Those cannot stream: leave out"):
        read_data(config)
    pixels = np.random.default_rng(2).integers(0, 256, (20, 10, 8, 3)).astype(np.uint8)
    write(tmp_path, pixels, photometric="rgb")
    name = f"folder:{tmp_path}"
    held = read_data(Data(name, image_size=6))
    streamed = read_data(Data(name, image_size=6, streaming=True))
    found = streamed.train.decoded(np.arange(len(streamed.train)))
    np.testing.assert_array_equal(found.images, held.train.images)
    part = dataclasses.replace(streamed.train.training, part=0.5)
    content = Path(tmp_path / "a" / "00.tif").read_bytes()
    expected = Image.fromarray(pixels[0]).resize(
        (6, 6), Image.Resampling.BILINEAR, box=(2, 3, 6, 7)
    )
    np.testing.assert_array_equal(part.image(content, "00.tif", None), expected)


def test_a_recipe_of_before_reads_as_before():
    stored = to_json(Data("folder:x", grey_range=(0, 4095)))
    del stored["full_depth"]
    assert from_json(stored, Data, "recipe.json") == Data("folder:x", grey_range=(0, 4095))
