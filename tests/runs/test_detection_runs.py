"""A detector from a folder to its pictures: trained, evaluated, judged by others, and shown."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from drawn_objects import COLOURS, IMAGES, coco, draw, voc
from PIL import Image
from rich.console import Console

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, Task, epochs, train
from cnn_jax.__main__ import main
from cnn_jax.commands.data import DataInfo, DataShow, Reading
from cnn_jax.commands.runs import Evaluate, Predict
from cnn_jax.errors import UserError
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.json_values import read_json
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)

MANY = {f"{name}{turn}": each for turn in range(6) for name, each in IMAGES.items()}


@dataclasses.dataclass(frozen=True)
class Trained:
    path: Path
    recipe: Recipe
    experiment: Experiment


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs, whose data lie beside it."""
    top = tmp_path_factory.mktemp("detection")
    voc(top / "set", MANY)
    recipe = Recipe(
        "boxes",
        data=Data(f"voc:{top / 'set'}", image_size=32, validation=8, test=8),
        task=Task("detection"),
        augment=Augment(mirror="random"),
        model=Model(
            "fcos",
            options={
                "body": "simple_cnn",
                "body_options": {"widths": (4, 8, 8)},
                "at": (4, 8),
                "extra_levels": 0,
                "channels": 8,
                "head_depth": 1,
                "head_norm": "none",
                "detections": 8,
                "candidates": 20,
                "score": 0.0,
            },
        ),
        optimizer=Optimizer("adam", learning_rate=0.01),
        batch_size=4,
        duration=epochs(2),
    )
    experiment = Experiment.of(recipe)
    train(recipe, top / "run", console=QUIET, experiment=experiment)
    return Trained(top / "run", recipe, experiment)


@pytest.fixture
def run(trained):
    return trained.path


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(trained, tmp_path, monkeypatch):
    made, step = [], trained.experiment.program.train_step

    def counted(*arguments):
        made.append(1)
        return step(*arguments)

    monkeypatch.setattr(trained.experiment.program, "train_step", counted)
    monkeypatch.setattr(StopRequest, "__call__", lambda self: len(made) >= 4)
    again = {"console": QUIET, "experiment": trained.experiment}
    with pytest.raises(Stopped):
        train(trained.recipe, tmp_path / "cut", **again)
    monkeypatch.undo()
    found = train(trained.recipe, tmp_path / "cut", **again)
    assert found["test"] == read_json(trained.path / "summary.json")["test"]


def test_a_run_has_the_numbers_of_coco_and_a_chosen_score(run):
    summary = read_json(run / "summary.json")
    test = summary["test"]
    assert {"ap", "ap50", "ap75", "ar100", "voc07", "voc10", "recall"} <= set(test)
    assert test["examples"] == 8 and 0 <= test["ap"] <= 1


def test_metrics_are_computed_again_from_records(run, capsys):
    found = evaluate(run)
    file = Path(found["predictions"])
    Evaluate(run, records=file, json=True)()
    again = json.loads(capsys.readouterr().out)
    for name in ("ap", "ap50", "ar10", "voc07", "ap/blue"):
        assert again[name] == pytest.approx(found[name]), name
    Evaluate(run, records=file)()
    told = capsys.readouterr().out
    assert "AP" in told.upper() and "blue" in told and "red" in told
    other = Predictions.read(file)
    other.with_columns(other.columns, task="binary").write(run / "other.parquet")
    with pytest.raises(UserError, match="is of the task binary; that of this run is detection"):
        Evaluate(run, records=run / "other.parquet")()


def test_another_set_is_judged_with_classes_by_name(run, tmp_path):
    """Also one with more objects in an image than there were, in another form."""
    more = [("red", 2 * n, 2, 2 * n + 8, 12) for n in range(9)]
    images = {"a": IMAGES["b"], "z": ((70, 60), more)}
    found = evaluate(run, dataset=f"coco:{coco(tmp_path / 'set', images)}")
    assert found["examples"] == 2 and 0 <= found["ap"] <= 1
    images = {"z": ((40, 40), [("green", 1, 1, 20, 20)])}
    COLOURS["green"] = (0, 200, 0)
    with pytest.raises(UserError, match="has classes that the model does not know: green"):
        evaluate(run, dataset=f"voc:{voc(tmp_path / 'green', images)}")


def test_pictures_are_predicted_in_pixels_of_their_own(run, tmp_path, capsys):
    size, objects = (120, 80), [("red", 20, 10, 60, 50)]
    draw(tmp_path / "photo.png", size, objects)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "found"
    with pytest.raises(UserError, match=r"bad\.png"):
        Predict(run, (tmp_path / "photo.png", tmp_path / "bad.png"), output=out, json=True)()
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 5 and {row["class"] for row in rows} <= {"blue", "red"}
    told = json.loads((out / "detections.json").read_text())
    assert told["images"][0]["width"] == 120 and len(told["annotations"]) == 8
    for each in told["annotations"]:
        left, top, width, height = each["bbox"]
        assert 0 <= left <= left + width <= 120.1 and 0 <= top <= top + height <= 80.1
        assert each["category_id"] in (1, 2) and 0 <= each["score"] <= 1
    with Image.open(out / "photo.jpg") as picture:
        assert picture.size == size
    from pycocotools.coco import COCO

    assert len(COCO(str(out / "detections.json")).getAnnIds()) == 8
    with pytest.raises(UserError, match="--csv"):
        Predict(run, (tmp_path / "photo.png",), output=out, csv=tmp_path / "a.csv")()
    # Nothing is lost: neither what was found before nor the pictures themselves.
    with pytest.raises(UserError, match=r"bad\.png"):
        Predict(run, (tmp_path / "bad.png",), output=out)()
    assert json.loads((out / "detections.json").read_text()) == told
    with pytest.raises(UserError, match=r"is where photo\.png lies"):
        Predict(run, (tmp_path / "photo.png",), output=out / "..")()


def test_a_set_is_described_and_drawn_by_its_name_alone(run, tmp_path, capsys):
    name = f"voc:{run.parent / 'set'}"
    DataInfo(name, json=True)()
    told = json.loads(capsys.readouterr().out)
    # Of 36 images in turns of six, each with 4 of both classes, a tenth is the test part.
    assert sum(map(sum, told["class_counts"].values())) == 6 * 8
    sheet = tmp_path / "sheet.png"
    DataShow(
        name,
        data=Reading(image_size=64),
        augment=Augment(mirror="random"),
        output=sheet,
        examples=4,
        variants=2,
    )()
    with Image.open(sheet) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # Boxes are drawn in a colour for each class.
    for colour in ((230, 159, 0), (86, 180, 233)):
        assert (np.abs(pixels - colour).max(axis=-1) < 3).sum() > 50


def test_boxes_that_are_true_and_told_are_drawn(run, tmp_path, capsys):
    file = tmp_path / "a.png"
    main(["show", "told", str(run), "--examples", "2", "--output", str(file)])
    pixels = np.asarray(Image.open(file))
    # The true boxes of the first image, in their colour; of what is told none is sure.
    assert (pixels == (230, 159, 0)).all(-1).any() or (pixels == (86, 180, 233)).all(-1).any()
    with pytest.raises(SystemExit):
        main(["show", "attention", str(run)])
    assert "the run tells boxes" in capsys.readouterr().err


def test_a_report_shows_boxes_that_are_true_and_told(run, described):
    found = described(run)
    assert len(found.told) == 5 and found.attention is None
    assert found.left_out["mistakes"] == (
        "of detection no intervals are made, and no example is simply wrong"
    )
