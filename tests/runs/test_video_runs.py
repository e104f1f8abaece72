"""Whole runs on videos of unequal lengths, from frames to predictions."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from video_sets import folder_of_classes, moving_square, write_frames

from cnn_jax import Augment, Checkpoints, Data, Model, UserError, Video, steps, train
from cnn_jax.__main__ import main as command
from cnn_jax.data import load
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.tasks.clip_inputs import ClipInputs

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of_classes(tmp_path_factory.mktemp("videos"), 14, frames=(5, 9))


@pytest.fixture(scope="module")
def recipe(tiny, changed, folder):
    fields = {
        "data": Data(f"video:{folder}", validation=4, test=6),
        "video": Video(frames=5, sampling="dense", clips=2),
        "augment": Augment(pad_crop=1, brightness=0.1),
        "model": Model("r3d_18", options={"width": 8, "depths": (1,), "norm_momentum": 0.5}),
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.02,
        "optimizer.options": {},
        "batch_size": 9,
        "duration": steps(24),
        "validate_every": steps(12),
        "checkpoints": Checkpoints(every=steps(6)),
        "ema": None,
    }
    return changed(tiny, fields)


@pytest.fixture(scope="module")
def learnt(recipe, tmp_path_factory):
    """A whole run, with what it was run by."""
    top = tmp_path_factory.mktemp("runs")
    experiment = Experiment.of(recipe)
    return top, experiment, train(recipe, top / "whole", console=QUIET, experiment=experiment)


def test_a_run_learns_where_things_move(learnt):
    """Each video is counted once, though two clips are taken of it."""
    top, _, summary = learnt
    assert summary["test"]["examples"] == 6 and summary["test"]["accuracy"] == 1
    found = evaluate(top / "whole")
    assert found["examples"] == 6 and found["accuracy"] == summary["test"]["accuracy"]
    assert found["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-4)


def test_stopped_it_goes_on_to_the_same_numbers(learnt, recipe, goes_on):
    top, experiment, whole = learnt
    again = goes_on(experiment, recipe, top / "cut", 15)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]


def test_other_videos_are_judged_and_predicted(learnt, tmp_path, capsys):
    """Of any length and size."""
    top, _, _ = learnt
    run, others = top / "whole", tmp_path / "others"
    for label in ("left", "right"):
        write_frames(others / label / "long", moving_square(label, 14, seed=90))
        wide = moving_square(label, 6, seed=91).repeat(2, axis=1).repeat(2, axis=2)
        write_frames(others / label / "large", wide)
    found = evaluate(run, dataset=f"video:{others}")
    assert (found["split"], found["examples"], found["accuracy"]) == ("all", 4, 1)

    told = predict(restore(run), [others / "left" / "long", others / "right" / "large"])
    assert [each.classes[0] for each in told] == ["left", "right"]
    command(["predict", str(run), str(others / "left"), "--top", "1", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [Path(row["image"]).name for row in rows] == ["large", "long"]
    assert [row["classes"] for row in rows] == [["left"], ["left"]]
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none: holds no frames"):
        predict(restore(run), [tmp_path / "none"])
    with pytest.raises(UserError, match="inputs of the kind image, but the model was trained on c"):
        evaluate(run, dataset="digits")


def inputs_of(recipe, changed, folder, **fields):
    dataset = load(f"video:{folder}")
    return ClipInputs(changed(recipe, fields), data_spec(dataset)), dataset.train.inputs


def test_all_frames_of_a_clip_are_changed_alike(recipe, changed, folder):
    """Where all frames are the same they are so after random changes."""
    changes = Augment(
        *(2, "reflect"), mirror="random", rotation=20, scale=0.2, brightness=0.3, contrast=0.3,
        saturation=0.3, mixup=0.2,
    )  # fmt: skip
    inputs, videos = inputs_of(recipe, changed, folder, augment=changes)
    still = np.repeat(videos[:6, :1], videos.shape[1], axis=1)
    key, places = jax.random.key(3), jnp.arange(6)
    batch = jax.jit(inputs.training_batch)(key, key, still, jnp.eye(6), places, places)
    found = np.asarray(batch.inputs)
    assert found.shape == (6, *inputs.example().shape) == (6, 5, 16, 16, 3)
    np.testing.assert_allclose(found, np.repeat(found[:, :1], 5, axis=1), atol=1e-5)
    plain = np.asarray(inputs.prepared(still))[:, 0]
    assert (np.abs(found - plain).max((1, 2, 3, 4)) > 0.05).all()


def test_outputs_are_the_mean_over_the_clips_of_each(recipe, changed, folder):
    inputs, videos = inputs_of(
        recipe, changed, folder, video=Video(frames=2, sampling="dense", clips=3)
    )
    given = jax.jit(inputs.prepared)(videos)
    assert given.shape == (len(videos), 3, 2, 16, 16, 3)

    def apply(clips):
        return clips.mean((1, 2, 3))

    found = np.asarray(inputs.infer(apply, given))
    np.testing.assert_allclose(found, np.asarray(given).mean((1, 2, 3, 4)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": Model("resnet18")}, "resnet18 takes inputs of the kind image.*frame_cnn"),
        ({"augment": Augment(cutout=2)}, "--augment.cutout is for images, and video:.* has videos"),
        (
            {"data": Data("digits"), "augment": Augment(), "model": Model("simple_cnn")},
            "--video.frames is for videos, and digits has images",
        ),
        ({"video.frames": 0}, "--video.frames 0 must be at least 1"),
        ({"video.clips": 0}, "--video.clips 0 must be at least 1"),
        ({"video": Video(step=2)}, "--video.step 2 is for --video.sampling dense"),
        ({"views": "mirror"}, "--views mirror is for images"),
        ({"data.frames": 0}, "--data.frames 0 must be at least 1"),
        ({"data": Data("digits", frames=3)}, "--data.frames 3 is for videos, and digits has none"),
    ],
)
def test_what_does_not_fit_is_refused(recipe, changed, fields, message):
    if "model" in fields or fields.get("data"):
        fields = {"video": Video(frames=5)} | fields
    with pytest.raises(UserError, match=message):
        Experiment.of(changed(recipe, fields))


def test_videos_are_drawn_and_told(folder, tmp_path, capsys):
    output = tmp_path / "sheet.png"
    words = ["data", "show", f"video:{folder}", "--output", str(output), "--examples", "3"]
    command([*words, "--augment.pad-crop", "2", "--variants", "2"])
    assert "3 videos of video:" in capsys.readouterr().out
    assert output.read_bytes()[:4] == b"\x89PNG"
    command(["data", "info", f"video:{folder}", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["frame_shape"] == [16, 16, 3] and told["lengths"]["train"] == [5, 9]


def test_the_default_recipe_follows_from_the_videos(folder):
    from cnn_jax.defaults.recipes import DEFAULTS

    default = DEFAULTS["video"]
    data = Data(f"video:{folder}")
    facts = default.facts(data, "class", None)
    assert (facts.examples, facts.frames, facts.side, facts.same_size) == (25, 9, 16, True)
    recipe, why = default.choose("video", "video", data, facts, None)
    assert recipe.model.name == "r3d_18" and recipe.augment.mirror == "none"
    assert recipe.data.image_size is None and recipe.data.frames == 32
    assert "25 videos of up to about 9 frames, 2 classes" in why and "not mirrored" in why
    large = facts._replace(side=240, examples=1000)
    recipe, why = default.choose("video", "video", data, large, None)
    assert recipe.data.image_size == 56 and recipe.data.validation == 0
    assert "fewer than for a smaller set" in why
    with pytest.raises(UserError, match="digits is no set of videos; give video:PATH"):
        default.facts(Data("digits"), "class", None)


def test_a_report_shows_frames(learnt, described):
    found = described(learnt[0] / "whole")
    assert found.samples[0].shown.picture.width > found.samples[0].shown.picture.height
    assert found.left_out["attention"] == "maps of videos are not made"


def test_maps_of_videos_are_refused(learnt, capsys):
    with pytest.raises(SystemExit) as stopped:
        command(["show", "attention", str(learnt[0] / "whole")])
    assert stopped.value.code != 0
    assert "attention is for images, sounds, series and texts" in capsys.readouterr().err
