"""The views of a run, each drawn from a run folder."""

import json

import numpy as np
import pytest
from PIL import Image

from cnn_jax.__main__ import main
from cnn_jax.data import load
from cnn_jax.evaluation.found_predictions import find_predictions
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.inside.exciting import dreamt, exciting, receptive_field
from cnn_jax.inside.kernels import kernels, shapes_of_input
from cnn_jax.inside.mistakes import mistakes
from cnn_jax.inside.net import Net
from cnn_jax.inside.points import values
from cnn_jax.report.reliability_picture import reliability


def drawn(tmp_path, capsys, *words):
    """The picture that a command writes, and what it prints."""
    file = tmp_path / "out.png"
    main(["show", words[0], *map(str, words[1:]), "--output", str(file)])
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")), capsys.readouterr().out


def test_attention_is_drawn_of_examples_and_of_own_pictures(run, tmp_path, capsys):
    picture, said = drawn(tmp_path, capsys, "attention", run, "--examples", 4)
    assert "out.png: 4 of 200 images of the validation part, evenly spread" in said
    assert "grad_cam: at layer pool1" in said
    assert picture.shape[1] == 6 + 6 * (128 + 6)
    # Grey digits in the first column, colour over them in the second.
    first, second = picture[30:130, 10:130].astype(int), picture[30:130, 150:260].astype(int)
    assert (np.ptp(first, axis=-1) == 0).all() and np.ptp(second, axis=-1).max() > 50
    file = tmp_path / "grey.png"
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(file)
    words = ("attention", run, file, "--method", "all", "--of", "3")
    picture, said = drawn(tmp_path, capsys, *words)
    assert "1 picture" in said and "occlusion" in said and "of it at most" in said
    assert picture.shape[1] == 6 + 6 * (128 + 6)


def test_filters_are_the_kernels_of_the_first_convolution(run, trained, tmp_path, capsys):
    found = kernels(Net(trained.module, trained.variables), shapes_of_input(trained))
    np.testing.assert_array_equal(found.values, trained.params["conv1"]["kernel"])
    picture, said = drawn(tmp_path, capsys, "filters", run)
    assert "4 filters of 3x3 over 1 map of layer conv1" in said
    # The largest weight of all has the full colour, whichever sign it has.
    assert {(213, 94, 0), (0, 114, 178)} & {tuple(each) for each in picture.reshape(-1, 3)}


def test_features_are_those_of_the_layer(run, tmp_path, capsys):
    picture, said = drawn(tmp_path, capsys, "features", run, "--layer", "relu1")
    assert "validation 0 at layer relu1, 8x8x4" in said and picture.shape[1] == 916


def test_mistakes_are_in_their_order(run, tmp_path, capsys):
    source = find_predictions(run, "validation").predictions
    found = mistakes(source, 5)
    told = source.predicted().values()
    wrong = np.flatnonzero(~told["right"])
    assert found.wrong == len(wrong) > 5 and found.total == 200
    worst, sure, border = ([each.place for each in kind] for kind in found.kinds.values())
    assert worst == wrong[np.argsort(-told["nll"][wrong], kind="stable")][:5].tolist()
    assert sure == wrong[np.argsort(-told["confidence"][wrong], kind="stable")][:5].tolist()
    assert set(border) <= set(wrong.tolist()) and border != worst
    _, said = drawn(tmp_path, capsys, "mistakes", run, "--examples", 5)
    assert f"{len(wrong)} of 200 are wrong; drawn are worst, most confident, borderline" in said


def test_mistakes_show_the_images_that_were_predicted(run, trained):
    from cnn_jax.inside.predicted_examples import examples_of
    from cnn_jax.restored import restore

    source = find_predictions(run, "validation").predictions
    shown = examples_of(run, restore(run), source, [7, 3])
    logits = trained.apply(trained.variables, trained.preprocess(shown.images))
    np.testing.assert_allclose(logits, source.columns["logits"][[7, 3]], rtol=1e-3, atol=1e-4)
    assert shown.targets.tolist() == source.columns["truth"][[7, 3]].tolist()


def test_where_all_is_right_nothing_is_drawn(tmp_path, capsys):
    logits = np.eye(3, dtype=np.float32) * 9
    file = tmp_path / "right.parquet"
    about = {"predicted": "class", "class_names": ["a", "b", "c"], "options": {}, "name": "n",
             "step": 1, "split": "test", "dataset": "d", "task": "classification"}  # fmt: skip
    columns = {"logits": logits, "truth": np.arange(3, dtype=np.int32)}
    Predictions(np.array(["0", "1", "2"]), columns, about).write(file)
    main(["show", "mistakes", str(file), "--output", str(tmp_path / "none.png")])
    assert "all 3 are told right" in capsys.readouterr().out
    assert not (tmp_path / "none.png").exists()


def test_the_confusion_names_what_is_taken_for_what(run, tmp_path, capsys):
    picture, said = drawn(tmp_path, capsys, "confusion", run)
    matrix = find_predictions(run, "validation").predictions.predicted().confusion()
    apart = matrix - np.diag(np.diag(matrix))
    row, column = np.unravel_index(np.argmax(apart), apart.shape)
    assert f"{apart.max()} of {row} are told to be {column}" in said
    assert f"{np.trace(matrix)} of 200 right" in said
    assert picture.shape[0] > 250


def test_bins_of_a_reliability_diagram():
    found = reliability(np.array([0.1, 0.9, 1.0, 0.85]), np.array([0, 1, 1, 0]), bins=5)
    assert found.counts.tolist() == [1, 0, 0, 0, 3]
    np.testing.assert_allclose(found.confidence, [0.1, np.nan, np.nan, np.nan, 2.75 / 3])
    np.testing.assert_allclose(found.right, [0, np.nan, np.nan, np.nan, 2 / 3])


def test_reliability_and_curves_are_drawn(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    _, said = drawn(tmp_path, capsys, "reliability", run)
    assert "ECE" in said and "200 probabilities" in said
    _, said = drawn(tmp_path, capsys, "curves", run)
    assert "out.png: loss, accuracy of 1 run" in said


def test_patches_are_the_places_with_the_largest_values(run, trained, tmp_path, capsys):
    net = Net(trained.module, trained.variables)
    images = trained.preprocess(np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    found = exciting(net, images, "conv1", [2, 0], 3)
    maps = np.asarray(values(net.module, net.variables, images, ["conv1"])["conv1"])
    for channel, each in found.items():
        best = np.sort(maps[..., channel].max((1, 2)))[::-1][:3]
        np.testing.assert_allclose([one.value for one in each], best, rtol=1e-5)
        for one in each:
            top, left, bottom, right = one.box
            row, column = np.argwhere(
                maps[one.image, ..., channel] == maps[one.image, ..., channel].max()
            )[0]
            # A kernel of 3x3 sees a pixel on every side, but for those beyond the edge.
            assert (top, bottom) == (max(0, row - 1), min(8, row + 2))
            assert (left, right) == (max(0, column - 1), min(8, column + 2))
    # Two convolution pixels and their pooling: 4x4.
    assert receptive_field(net, (8, 8, 1), "pool1", 1, 2) == (1, 3, 5, 7)
    _, said = drawn(tmp_path, capsys, "patches", run, "--examples", 30, "--patches", 4)
    assert "layer pool1: 4 of 4 maps; a place sees up to 4x4 of the 8x8 pixels" in said


def test_an_image_that_is_made_excites_its_map_more_than_any_digit(trained):
    net = Net(trained.module, trained.variables)
    made = dreamt(net, (8, 8, 1), "relu1", [1, 3])
    both = np.concatenate([made, trained.preprocess(load("digits").test.images[:100])])
    means = np.asarray(values(net.module, net.variables, both, ["relu1"])["relu1"]).mean((1, 2))
    assert means[0, 1] > means[2:, 1].max() and means[1, 3] > means[2:, 3].max()


def test_a_map_of_examples(run, tmp_path, capsys):
    picture, said = drawn(tmp_path, capsys, "embedding", run, "--examples", 40)
    assert "layer dense1_relu: 16 features" in said and "nearest neighbour" in said
    assert "40 of 200 images of the validation part" in said and picture.shape[1] == 1120


def test_the_line_begins_and_ends_at_its_checkpoints(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ("line", run, 0, "best", "--points", 7, "--examples", 200)
    _, said = drawn(tmp_path, capsys, *words)
    best = json.loads((run / "summary.json").read_text())["best"]["loss"]
    assert f"{best:.4g} at best" in said and "loss 2." in said.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("attention {run} --layer pool2", "unknown layer 'pool2'; did you mean 'pool1'"),
        ("attention {run} --of seven", "unknown class 'seven'"),
        ("attention {run} --method occlusion --layer pool1", "--layer pool1 is for the cam"),
        ("filters {run} --layer pool1", "layer pool1 has no kernels of its own; layers that"),
        ("features {run} --layer dense1", "layer dense1 has no places: it is 16"),
        ("mistakes {run} --split train", "has no predictions of its train part"),
        ("curves {run} --metrics lss", "unknown metric of {run}: 'lss'; did you mean 'loss'"),
        ("curves", "no run is given: cnn-jax show curves RUN..."),
        ("patches {run} --maps 4", "--maps 4: layer pool1 has 4 maps, 0 to 3"),
        ("line {run} best best", "best is given twice; a line has two ends"),
        ("embedding {run} --examples 3", "a map of 3 examples shows nothing; give at least 5"),
        ("told {run}", "tells no boxes or masks (classification); look at cnn-jax show attention"),
        ("walks {run}", "unknown command of cnn-jax show: 'walks'; did you mean 'walk'"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["show", *words.format(run=run).split()])
    assert stopped.value.code == 2
    assert message.format(run=run) in capsys.readouterr().err
