"""What TensorBoard reads of a run."""

import struct

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tiny_task import spec

from cnn_jax import Model, Optimizer, Recipe, RunFacts, Task
from cnn_jax.tasks import resolved
from cnn_jax.training.hyperparameters import chosen, hyperparameters
from cnn_jax.training.tensorboard_log import TensorBoard

RECIPE = Recipe(
    "made up",
    model=Model(options={"widths": (4, 8)}),
    optimizer=Optimizer("adam", learning_rate=0.5),
    log_norms=True,
    seed=3,
)


def events(folder):
    """All events of a folder: records of length, checksum, content, checksum."""
    found = []
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return found


def test_hyper_parameters_metrics_and_results_are_there(tmp_path):
    log = TensorBoard(tmp_path / "tensorboard")
    log.start(RunFacts(RECIPE, tmp_path, spec(), step=20))
    log.step(30, {"loss": 0.5, "grad_norms": {"conv1/kernel": 2.0}})
    log.validation(40, {"accuracy": 0.25})
    log.end({"steps": 40, "test": {"accuracy": 0.125, "examples": 8}}, "")
    found = events(tmp_path / "tensorboard")
    values = [(event.step, value) for event in found for value in event.summary.value]
    numbers = {(step, value.tag): value.simple_value for step, value in values}
    assert numbers[30, "train/loss"] == 0.5
    assert numbers[30, "grad_norms/conv1/kernel"] == 2.0
    assert numbers[40, "validation/accuracy"] == 0.25
    assert numbers[40, "test/accuracy"] == 0.125
    stored = {
        value.tag: HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for _, value in values
        if value.metadata.plugin_data.plugin_name == "hparams"
    }
    start = stored["_hparams_/session_start_info"].session_start_info.hparams
    assert start["optimizer.learning_rate"].number_value == 0.5
    assert start["optimizer.name"].string_value == "adam"
    assert start["model.options.widths"].string_value == "4 8"
    assert start["log_norms"].bool_value and start["seed"].number_value == 3
    # What is the default is left out, but for what runs are always compared by.
    assert start["batch_size"].number_value == 128 and "ema" not in start
    assert not any(name.startswith("augment.") for name in start)
    assert stored["_hparams_/session_end_info"].session_end_info.status == 1
    # What an earlier start told of later steps is forgotten.
    assert [event.step for event in found if event.HasField("session_log")] == [21]


def test_a_run_that_has_not_finished_has_no_result(tmp_path):
    log = TensorBoard(tmp_path / "tensorboard")
    log.start(RunFacts(RECIPE, tmp_path, spec()))
    log.end(None, "stopped")
    tags = [
        value.tag for event in events(tmp_path / "tensorboard") for value in event.summary.value
    ]
    assert tags == ["_hparams_/session_start_info"]


def test_what_a_task_fills_in_is_no_choice():
    tags = chosen(resolved(Recipe("made up", task=Task("tagging"))))
    assert tags["task.name"] == "tagging"
    assert not {"loss.name", "checkpoints.metric"} & set(tags)
    assert "task.name" not in chosen(resolved(RECIPE))


def test_all_fields_that_have_a_value_are_hyper_parameters():
    found = hyperparameters(RECIPE)
    assert found["augment.mirror"] == "none" and found["duration"] == "10 epochs"
    assert "ema" not in found
    assert all(isinstance(value, str | int | float | bool) for value in found.values())
