"""Runs that cannot begin: what is said, and that nothing is left or touched."""

import pytest
from rich.console import Console

from cnn_jax import UserError, epochs, train
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.experiment import Experiment

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def experiment(tiny):
    return Experiment.of(tiny)


def test_a_folder_in_use_is_refused(tiny, experiment, tmp_path):
    first = RunFolder(tmp_path / "run")
    first.start(tiny)
    with pytest.raises(UserError, match=r"in use by another run \(process \d+\)"):
        train(tiny, tmp_path / "run", console=QUIET, experiment=experiment)
    first.close()


def test_a_folder_that_holds_something_else_is_left_alone(tiny, experiment, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"not empty \(it holds thesis\.tex\)"):
        train(tiny, tmp_path, console=QUIET, experiment=experiment)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_below_a_file_cannot_be_made(tiny, experiment, tmp_path):
    (tmp_path / "notes").write_text("")
    with pytest.raises(UserError, match=r"cannot be made: .*notes is a file"):
        train(tiny, tmp_path / "notes" / "run", console=QUIET, experiment=experiment)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.name": "digitz"}, "'digitz'; did you mean 'digits'"),
        ({"model.name": "simple_cn"}, "did you mean 'simple_cnn'"),
        ({"model.options": {"width": (4,)}}, "did you mean .*'widths'"),
        ({"optimizer.name": "sgdd"}, "did you mean 'sgd'"),
        ({"batch_size": 5000}, "--batch-size 5000 is more than the 1237 training examples"),
        ({"data.validation": 5000}, "--data.validation 5000"),
        ({"optimizer.accumulate": 5}, "--optimizer.accumulate 5"),
        ({"ema": 1.0}, "--ema 1.0"),
        ({"loss.label_smoothing": 1.0}, "--loss.label-smoothing 1.0"),
        ({"checkpoints.keep_best": 0}, "--checkpoints.keep-best"),
        ({"early_stopping.patience": 0}, "--early-stopping.patience 0"),
        ({"early_stopping.min_change": -0.1}, "--early-stopping.min-change -0.1"),
        ({"early_stopping.min_change": float("nan")}, "--early-stopping.min-change nan"),
        ({"early_stopping.patience": 3, "data.validation": 0}, "needs a validation part"),
        ({"lookahead.every": 0}, "--lookahead.every 0"),
        ({"optimizer.until": ("^stem=3epochs",)}, "--optimizer.until '.stem=3epochs' finds no"),
        ({"seed": -1}, "--seed -1"),
        ({"duration": epochs(0)}, "--duration 0 epochs"),
        ({"preprocess.std": (0.0,)}, "--preprocess.std"),
        ({"preprocess.mean": (0.5, 0.5)}, "--preprocess.mean"),
        ({"loss.name": "crossentropy"}, "--loss.name 'crossentropy'; did you mean"),
        ({"augment.mirror": "randon"}, "--augment.mirror 'randon'; did you mean 'random'"),
        ({"augment.pad_mode": "zeros"}, "--augment.pad-mode 'zeros'; did you mean 'zero'"),
        ({"preprocess.fit": "pads"}, "--preprocess.fit 'pads'; did you mean 'pad'"),
        ({"schedule.name": "cosin"}, "--schedule.name 'cosin'; did you mean 'cosine'"),
        ({"checkpoints.metric": "acc"}, "--checkpoints.metric 'acc'"),
        ({"model.options": {"dtype": "bfloat16"}}, "it is --model.dtype"),
        ({"augment.cutout": -1}, "--augment.cutout is -1"),
    ],
)
def test_a_mistake_is_named_and_leaves_no_folder(fields, message, tiny, changed, tmp_path):
    with pytest.raises(UserError, match=message):
        train(changed(tiny, fields), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()
