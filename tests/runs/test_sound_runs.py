"""Whole runs on sounds of unequal lengths, from files to predictions."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from sound_sets import RATE, folder_of_classes, whistle, write

from cnn_jax import Augment, Checkpoints, Data, Model, Sound, Task, UserError, steps, train
from cnn_jax.__main__ import main as command
from cnn_jax.data import load
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.data.sound_files import END
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.tasks.sound_inputs import SoundInputs

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of_classes(tmp_path_factory.mktemp("sounds"), 14)


@pytest.fixture(scope="module")
def recipe(tiny, changed, folder):
    fields = {
        "data": Data(f"sound:{folder}", validation=4, test=6),
        "sound": Sound(
            window=0.3,
            fft=64,
            hop=64,
            bands=12,
            shift=0.02,
            gain=3.0,
            stretch=0.05,
            time_masks=1,
            time_width=4,
            band_masks=1,
            band_width=2,
            between_class=True,
        ),
        "augment": Augment(mixup=0.2),
        "model": Model("logmel_cnn", options={"widths": (8,), "norm_momentum": 0.5}),
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


def test_a_run_learns_and_is_told(learnt):
    top, _, summary = learnt
    assert summary["test"]["examples"] == 6 and summary["test"]["accuracy"] == 1
    found = evaluate(top / "whole")
    assert found["accuracy"] == summary["test"]["accuracy"]
    assert found["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-4)


def test_stopped_it_goes_on_to_the_same_numbers(learnt, recipe, goes_on):
    top, experiment, whole = learnt
    again = goes_on(experiment, recipe, top / "cut", 15)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]


def test_other_sounds_are_judged_and_predicted(learnt, tmp_path, capsys):
    """Of any length, rate, form and number of channels."""
    top, _, _ = learnt
    run, others = top / "whole", tmp_path / "others"
    for label in ("high", "low"):
        write(others / label / "long.flac", whistle(label, 1.3, seed=90))
        two = np.stack([whistle(label, 0.4, 2 * RATE, seed=91)] * 2, 1)
        write(others / label / "stereo.wav", two, 2 * RATE)
    found = evaluate(run, dataset=f"sound:{others}")
    assert (found["split"], found["examples"], found["accuracy"]) == ("all", 4, 1)
    assert any("8,000 samples a second are brought to 4,000" in note for note in found["notes"])

    told = predict(restore(run), [others / "low" / "long.flac", others / "high" / "stereo.wav"])
    assert [each.classes[0] for each in told] == ["low", "high"]
    command(["predict", str(run), str(others / "low"), "--top", "1", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [Path(row["image"]).name for row in rows] == ["long.flac", "stereo.wav"]
    bad = tmp_path / "bad.wav"
    bad.write_bytes((others / "low" / "stereo.wav").read_bytes()[:500])
    with pytest.raises(UserError, match=r"bad.wav: is cut off"):
        predict(restore(run), [bad])
    with pytest.raises(UserError, match="inputs of the kind image, but the model was trained on s"):
        evaluate(run, dataset="digits")


def inputs_of(recipe, changed, folder, **sound):
    dataset = load(f"sound:{folder}")
    spec = data_spec(dataset)
    return SoundInputs(changed(recipe, {"sound": Sound(**sound)}), spec), dataset.train.inputs


def test_outputs_are_the_mean_over_the_windows_of_each(recipe, changed, folder):
    inputs, sounds = inputs_of(
        recipe, changed, folder, window=0.2, picture="none", standardise="none", overlap=0.5
    )
    given = jax.jit(lambda sounds: inputs.prepared(sounds))(sounds)

    def apply(windows):
        return jnp.stack([windows[:, 0], jnp.ones(len(windows))], 1)

    found = np.asarray(inputs.infer(apply, given))
    size, hop = 800, 400
    for sound, told in zip(sounds, found, strict=True):
        end = int((sound != END).sum())
        count = 1 + -(-max(0, end - size) // hop)
        starts = [round((end - size) * k / max(1, count - 1)) for k in range(count)]
        expected = np.mean([sound[start] / 2**15 for start in starts])
        np.testing.assert_allclose(told, [expected, 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["each", "bands"])
def test_pictures_are_standardised_by_what_is_there(recipe, changed, folder, how):
    inputs, sounds = inputs_of(
        recipe, changed, folder, window=0.5, fft=64, hop=100, bands=6, standardise=how, deltas=True
    )
    prepared = jax.jit(lambda sounds: inputs.prepared(sounds))
    pictures = np.asarray(prepared(sounds))
    assert pictures.shape == (len(sounds), *inputs.example().shape) == (len(sounds), 21, 6, 2)
    for sound, picture in zip(sounds, pictures, strict=True):
        frames = -(-int((sound != END).sum()) // 100)
        there = picture[:frames] if frames < 20 else picture
        assert not picture[len(there) :].any()
        axes = 0 if how == "bands" else (0, 1)
        np.testing.assert_allclose(there.mean(axes), 0, atol=1e-4)
        np.testing.assert_allclose(there.std(axes), 1, rtol=1e-3)
    silent = np.zeros((len(sounds), 2000), np.int16)
    assert not np.asarray(prepared(silent)).any()


def test_any_net_for_images_and_nets_of_samples_take_sounds(recipe, changed):
    for model, sound in (
        (Model("simple_cnn", options={"widths": (4,), "hidden": (4,)}), {}),
        (Model("m3", options={"first": 4, "widths": (4,)}), {"picture": "none"}),
    ):
        fields = {"model": model, "sound": Sound(window=0.3, fft=64, hop=64, bands=12, **sound)}
        experiment = Experiment.of(changed(recipe, fields | {"augment": Augment()}))
        assert experiment.program.spec.input_kind == "sound"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": Model("fcn1d")}, "fcn1d takes inputs of the kind series.*envnet.*logmel_cnn"),
        ({"model": Model("m5")}, "m5 takes inputs of the kind sound.*--sound.picture none"),
        ({"augment": Augment(mirror="random")}, "--augment.mirror is for images, and sound:"),
        ({"data": Data("digits"), "augment": Augment()}, "--sound.window is for sounds, and digit"),
        ({"sound.window": 0.0}, "--sound.window 0.0 is 0 samples"),
        ({"sound.overlap": 1.0}, "--sound.overlap 1.0 must be from 0 to below 1"),
        ({"sound.high": 2001.0}, "at most 2000, half of the 4,000 samples"),
        ({"sound.fft": 63}, "--sound.fft 63 must be even"),
        ({"sound.bands": 60}, "of the bands from 50 to 2000 Hz hold none"),
        ({"sound.gain": -1.0}, "--sound.gain -1.0 must not be negative"),
        ({"sound.hop": 0}, "--sound.hop 0 must be above zero"),
        ({"sound.deltas": True, "sound.hop": 200}, "--sound.deltas take 9 frames, and a window ha"),
        ({"sound.picture": "none", "model": Model("m3")}, "--sound.time-masks .* are of pictures"),
        (
            {"sound": Sound(window=0.01, picture="none"), "model": Model("m3")},
            "windows of 40 samples are too short for",
        ),
    ],
)
def test_what_does_not_fit_is_refused(recipe, changed, fields, message):
    with pytest.raises(UserError, match=message):
        Experiment.of(changed(recipe, fields))


@pytest.mark.slow
def test_tags_of_sounds_are_learnt(recipe, changed, folder, tmp_path):
    rows = [f"{file},{file.parent.name};any" for file in sorted(folder.rglob("*.wav"))]
    table = tmp_path / "all.csv"
    table.write_text("\n".join(["path,tags", *rows]))
    fields = {
        "data.name": f"sound:{table}",
        "task": Task("tagging"),
        "sound.between_class": False,
    }
    summary = train(changed(recipe, fields), tmp_path / "run", console=QUIET)
    assert summary["test"]["map"] > 0.95


def test_sounds_are_drawn(folder, tmp_path, capsys):
    output = tmp_path / "sheet.png"
    words = ["data", "show", f"sound:{folder}", "--output", str(output), "--examples", "3"]
    sound = ["--sound.fft", "64", "--sound.hop", "64", "--sound.bands", "12"]
    command([*words, *sound, "--sound.time-masks", "1", "--variants", "2"])
    assert "3 sounds of sound:" in capsys.readouterr().out and output.stat().st_size > 1000
    assert output.read_bytes()[:4] == b"\x89PNG"


def test_what_decided_is_drawn_over_the_picture_of_a_sound(learnt, tmp_path, capsys):
    run, file = str(learnt[0] / "whole"), tmp_path / "a.png"
    words = ["--examples", "2", "--output", str(file), "--method", "hires_cam"]
    command(["show", "attention", run, *words])
    said = capsys.readouterr().out
    assert "a.png: 2 of 4 examples of the validation part" in said and "hires_cam: at" in said
    assert file.stat().st_size > 1000


def test_a_report_shows_sounds_and_where_the_net_looks(learnt, described):
    found = described(learnt[0] / "whole")
    assert found.samples[0].shown.picture.uri.startswith("data:image/")
    assert all(each.seen and each.plain for each in found.attention.examples)
