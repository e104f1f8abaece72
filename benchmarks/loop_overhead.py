"""What the training loop costs over calling the compiled step alone.

    make bench-loop

Both do the same steps on the same data, in turn, several times; what is printed is the time a
step of each and the ratio, as median and spread over the rounds. In the loop's time is all that
happens between two steps: the order of examples, metrics read and written. The progress bar
is not drawn.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro
from rich.console import Console

from cnn_jax import Augment, Data, Model, Optimizer, Preprocess, Recipe, steps
from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.errors import shown_to_user
from cnn_jax.runs.experiment import Experiment
from cnn_jax.state import TrainState
from cnn_jax.tasks import metric_that_counts
from cnn_jax.training.callbacks import Callbacks, RunFacts
from cnn_jax.training.display import Display
from cnn_jax.training.loop import Loop
from cnn_jax.training.metrics_log import JsonLines
from cnn_jax.training.progress import Progress
from cnn_jax.training.tensorboard_log import TensorBoard


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: str = "mnist"
    """Data set of the recipe of `experiments/mnist_lenet5.py`."""
    steps: int = 300
    """Steps a round."""
    rounds: int = 7
    """How often each is measured."""
    json: Path | None = None
    """Also write the numbers here."""


def recipe_of(options: Options) -> Recipe:
    """LeNet-5 with augmentation, never validated before the end."""
    return Recipe(
        name="loop_overhead",
        data=Data(options.data),
        preprocess=Preprocess(size=32, fit="pad"),
        augment=Augment(translation=0.08, rotation=10.0, scale=0.1),
        model=Model("lenet5_relu"),
        optimizer=Optimizer("sgd", learning_rate=0.05, options={"momentum": 0.9}),
        duration=steps(options.steps),
        validate_every=steps(10 * options.steps),
    )


def bare_seconds(experiment: Experiment, count: int) -> float:
    """Seconds that so many calls of the compiled step take, one after the other."""
    program = experiment.program
    state = program.init(0)
    given = experiment.input(0)(0, lambda: False)
    jax.block_until_ready(state)
    began = time.perf_counter()
    for _ in range(count):
        state, _ = program.train_step(state, *given)
    jax.block_until_ready(state)
    return time.perf_counter() - began


def loop_seconds(experiment: Experiment, count: int, state: TrainState | None = None) -> float:
    """Seconds that the loop's clock shows for so many steps, with all that it does in them.

    Args:
      experiment: its recipe is not validated or saved on the way.
      count: the number of steps.
      state: what to start from, so many steps before the end of the recipe; by default the
        initial one of seed 0, of a recipe of so many steps. It is used up.
    """
    program, dataset = experiment.program, experiment.dataset
    assert dataset.validation is not None
    if state is None:
        state = program.init(0)
    jax.block_until_ready(state)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        metric = metric_that_counts(program.recipe)
        checkpoints = Checkpoints(path / "checkpoints", program.recipe.checkpoints, metric)
        callbacks = Callbacks(
            [JsonLines(path / "metrics.jsonl", print), TensorBoard(path / "tensorboard")]
        )
        callbacks.start(RunFacts(program.recipe, path, program.spec))
        loop = Loop(
            program,
            experiment.input(0),
            dataset.validation.take(range(1)),
            checkpoints=checkpoints,
            callbacks=callbacks,
            display=Display(count, Console(quiet=True), program.task.PARTS, metric),
            stop=lambda: False,
            began=time.perf_counter(),
        )
        loop.run(state, Progress(metric.name))
        callbacks.end(None, "")
        checkpoints.close()
    assert loop.progress.steps_timed == count
    return loop.progress.seconds


def main() -> None:
    """Prints both times and their ratio."""
    options = tyro.cli(Options, description=__doc__)
    experiment = Experiment.of(recipe_of(options))
    experiment.program.compile_train(*experiment.step_arrays())
    bare_seconds(experiment, 20)
    bare, loop, ratios = [], [], []
    for _ in range(options.rounds):
        bare.append(bare_seconds(experiment, options.steps) / options.steps * 1e3)
        loop.append(loop_seconds(experiment, options.steps) / options.steps * 1e3)
        ratios.append(loop[-1] / bare[-1])
    for name, values in (("step alone, ms", bare), ("in the loop, ms", loop), ("ratio", ratios)):
        print(
            f"{name:<16} median {statistics.median(values):.3f}, "
            f"from {min(values):.3f} to {max(values):.3f} (n={len(values)})"
        )
    if options.json:
        found = dataclasses.asdict(options) | {"bare": bare, "loop": loop, "ratio": ratios}
        options.json.write_text(json.dumps(found, default=str, indent=2) + "\n")


if __name__ == "__main__":
    with shown_to_user():
        main()
