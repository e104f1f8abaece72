"""Whole runs on images with masks, of different sizes, from folders to predicted masks."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import Augment, Checkpoints, Data, Loss, Model, Task, UserError, load, steps, train
from cnn_jax.__main__ import main as command
from cnn_jax.data.recipe_data import data_spec, read_data
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict_masks import predict_masks
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment

QUIET = Console(quiet=True)
RANDOM = np.random.default_rng(0)
SIZES = ((24, 32), (32, 24), (24, 24))


def picture(size):
    """A bright disc, a red one and a dark ground, and which is where."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    image = RANDOM.integers(0, 60, (height, width, 3))
    mask = np.zeros(size, np.uint8)
    for place, colour in ((1, (230, 230, 230)), (2, (230, 30, 30))):
        row, column = RANDOM.integers(6, height - 6), RANDOM.integers(6, width - 6)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 30
        image[disc], mask[disc] = colour, place
    mask[:2] = 255
    return image.astype(np.uint8), mask


def drawn(top, part, count):
    for place in range(count):
        image, mask = picture(SIZES[place % 3])
        for folder, pixels in ((part, image), (f"{part}annot", mask)):
            (top / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(top / folder / f"{part}{place}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("discs")
    for part, count in (("train", 18), ("val", 6), ("test", 7)):
        drawn(top, part, count)
    (top / "classes.txt").write_text("ground\nbright\nred\n")
    return top


@pytest.fixture(scope="module")
def recipe(tiny, changed, folder):
    fields = {
        "data": Data(f"masks:{folder}", image_size=16),
        "task": Task("segmentation"),
        "augment": Augment(crop_size=(12, 16), crop_scale=(0.8, 1.2), mirror="random"),
        "model": Model("unet", options={"width": 4, "depth": 2}),
        "loss": Loss("cross_entropy_dice", options={"weights": "median_frequency"}),
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.03,
        "optimizer.options": {},
        "batch_size": 6,
        "duration": steps(40),
        "validate_every": steps(20),
        "checkpoints": Checkpoints(every=steps(10)),
        "ema": None,
    }
    return changed(tiny, fields)


@pytest.fixture(scope="module")
def learnt(recipe, tmp_path_factory):
    """A whole run, with what it was run by."""
    top = tmp_path_factory.mktemp("runs")
    experiment = Experiment.of(recipe)
    return top, experiment, train(recipe, top / "whole", console=QUIET, experiment=experiment)


def test_a_run_learns_and_its_confusion_is_stored(learnt, capsys):
    top, _, summary = learnt
    test = summary["test"]
    assert test["examples"] == 7 and test["mean_iou"] > 0.5 and test["iou/ground"] > 0.8
    sheet = top / "told.png"
    command(["evaluate", str(top / "whole"), "--pictures", str(sheet)])
    assert Image.open(sheet).width > 6 * 64
    shown = capsys.readouterr().out
    assert "mean iou" in shown and "bright" in shown and "confusion" not in shown
    (file,) = (top / "whole" / "evaluations").iterdir()
    found = json.loads(file.read_text())
    matrix = np.array(found["details"]["confusion"])
    assert matrix.sum() == sum((size[0] - 2) * size[1] for size in (SIZES * 3)[:7])
    assert np.trace(matrix) / matrix.sum() == found["global_accuracy"] == test["global_accuracy"]


def test_stopped_it_goes_on_to_the_same_numbers(learnt, recipe, goes_on):
    top, experiment, whole = learnt
    again = goes_on(experiment, recipe, top / "cut", 25)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]


def test_masks_that_are_predicted_score_what_evaluation_found(learnt, folder, tmp_path, capsys):
    top, _, summary = learnt
    out = tmp_path / "told"
    command(["predict", str(top / "whole"), str(folder / "test"), "--output", str(out)])
    assert "share of pixels" in capsys.readouterr().out
    right = total = 0
    for file in sorted((folder / "testannot").iterdir()):
        truth = np.asarray(Image.open(file))
        image = Image.open(out / file.name)
        told = np.asarray(image)
        assert image.mode == "P" and told.shape == truth.shape
        right += ((told == truth) & (truth != 255)).sum()
        total += (truth != 255).sum()
        shown = Image.open(out / f"{file.stem}_over.png")
        assert (shown.size, shown.mode) == (image.size, "RGB")
    assert right / total == summary["test"]["global_accuracy"]
    with pytest.raises(UserError, match="could be written over"):
        predict_masks(restore(top / "whole"), sorted(out.iterdir()), out)
    model = load(top / "whole")
    for file in sorted((folder / "test").iterdir())[:1]:
        np.testing.assert_array_equal(model.predict(file), np.asarray(Image.open(out / file.name)))
        (mask,) = model.predict([np.asarray(Image.open(file))])
        np.testing.assert_array_equal(mask, model.predict(file))


def test_another_set_is_judged_by_the_names_of_its_classes(learnt, folder, tmp_path):
    """Its images are larger, its values others, and it has no training part."""
    top, _, _ = learnt
    for place in range(3):
        image, mask = picture((40, 36))
        for part, pixels in (("images", image), ("masks", np.array([3, 1, 0], np.uint8)[mask % 3])):
            (tmp_path / part / "test").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / part / "test" / f"{place}.png")
    (tmp_path / "classes.txt").write_text("0 red\n1 bright\n3 ground\n")
    found = evaluate(top / "whole", dataset=f"masks:{tmp_path}")
    assert found["examples"] == 3 and found["mean_iou"] > 0.4
    windows = evaluate(
        top / "whole", dataset=f"masks:{tmp_path}", views="mirror", options={"window": 12}
    )
    assert windows["options"] == {"window": 12} and 0 < windows["mean_iou"] != found["mean_iou"]
    assert not any("no file names" in note for note in found["notes"])
    (tmp_path / "classes.txt").write_text("0 red\n1 blue\n3 ground\n")
    with pytest.raises(UserError, match="does not know: blue"):
        evaluate(top / "whole", dataset=f"masks:{tmp_path}")
    (tmp_path / "classes.txt").unlink()
    for file in (tmp_path / "masks" / "test").iterdir():
        Image.fromarray(np.asarray(Image.open(file)) % 2).save(file)
    found = evaluate(top / "whole", dataset=f"masks:{tmp_path}")
    assert any("values are taken for those learnt from, 0 " in note for note in found["notes"])


def test_images_are_drawn_with_their_masks(folder, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    command([
        "data", "show", f"masks:{folder}", "--data.task", "segmentation", "--data.image-size",
        "32", "--examples", "2", "--variants", "1", "--output", str(sheet), "--augment.mirror",
        "random",
    ])  # fmt: skip
    assert Image.open(sheet).width > 3 * 64 and "2 images" in capsys.readouterr().out
    command(["data", "info", f"masks:{folder}", "--data.task", "segmentation", "--json"])
    found = json.loads(capsys.readouterr().out)
    counts = found["class_counts"]["test"]
    assert sum(counts) == sum((size[0] - 2) * size[1] for size in (SIZES * 3)[:7])


def test_arrays_with_masks_are_learnt_from(tmp_path):
    images = np.stack([picture((16, 16))[0] for _ in range(12)])
    masks = (images.mean(-1) > 100).astype(np.int64)
    np.savez(tmp_path / "set.npz", train_images=images, train_masks=masks)
    found = read_data(Data(f"npz:{tmp_path / 'set.npz'}"), kind="mask")
    assert found.class_names == ("class_0", "class_1") and len(found.test) == 1
    assert {each.kind for each in data_spec(found).targets.values()} == {"mask"}
    np.savez(tmp_path / "set.npz", train_images=images, train_masks=masks[:, :8])
    with pytest.raises(UserError, match="same height and width"):
        read_data(Data(f"npz:{tmp_path / 'set.npz'}"), kind="mask")


def test_what_is_true_and_what_is_told_are_drawn(learnt, tmp_path, capsys):
    run, file = str(learnt[0] / "whole"), tmp_path / "a.png"
    command(["show", "told", run, "--examples", "2", "--output", str(file)])
    assert Image.open(file).width > 6 * 64 and "validation part" in capsys.readouterr().out
    command(["show", "attention", run, "--examples", "1", "--of", "red", "--output", str(file)])
    assert "grad_cam: at layer" in capsys.readouterr().out


def test_a_report_shows_masks_that_are_true_and_told(learnt, described):
    found = described(learnt[0] / "whole")
    assert len(found.told) == len(found.samples) == 5
    assert all(each.true.uri != each.told.uri for each in found.told)
    assert [row["class"] for row in found.results[0].rows] == ["ground", "bright", "red"]
    assert found.mistakes is None and found.attention is None and found.multiply_adds > 0
