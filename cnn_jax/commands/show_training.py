"""Commands that draw how a run trains: show gradients, line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cnn_jax.commands.output import print_json, print_rows, show
from cnn_jax.commands.shown_run import FromRun, check_least
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.restored import Restored


@dataclass(frozen=True)
class ShowGradients(FromRun):
    """Draw how large gradients and weights are in each layer, at every checkpoint that is kept."""

    batches: int = 4
    """Number of training batches over which gradients are averaged."""
    output: Path = Path("gradients.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Writes the picture, and prints what there is to say of each checkpoint."""
        import jax

        from cnn_jax.inside.gradient_norms import checker, verdict
        from cnn_jax.inside.training_batches import initial_variables, training_batches
        from cnn_jax.report.gradient_picture import draw_gradients
        from cnn_jax.restored import restore
        from cnn_jax.run_folder import RunFolder
        from cnn_jax.trained import TrainedModel

        check_least(batches=self.batches)
        folder = RunFolder(self.run)
        restored = restore(self.run, "latest", self.code)
        trained = TrainedModel(restored)
        if trained.task.turns:
            raise UserError(
                f"the task {restored.recipe.task.name} has several losses, each with gradients of "
                "its own; cnn-jax show gradients is for tasks with one"
            )
        batches = training_batches(restored, folder, self.batches, self.data_dir)
        check, key = checker(trained.module, trained.task.loss), jax.random.key(0)
        found = []
        if restored.recipe.init.source is None:
            found.append(check(0, initial_variables(restored), batches, key))
        for step in sorted(folder.steps()):
            if step:
                variables = restore(self.run, str(step), self.code).variables
                found.append(check(step, variables, batches, key))
        draw_gradients(found, self.output)
        said = {("start" if each.step == 0 else f"step {each.step:,}"): verdict(each)
                for each in found}  # fmt: skip
        if self.json:
            print_json(
                {
                    "output": str(self.output),
                    "checkpoints": [
                        {
                            "step": each.step,
                            "loss": each.loss,
                            "layers": [layer._asdict() for layer in each.layers],
                            "dead": each.dead,
                            "verdict": verdict(each),
                        }
                        for each in found
                    ],
                }
            )
            return
        rows = [
            {"layer": layer.name, "gradient": layer.gradient, "weight": layer.weight}
            for layer in found[-1].layers
        ]
        print_rows(rows, ("layer", "gradient", "weight"), as_json=False, empty="")
        show([("", f"{when}: {line}") for when, lines in said.items() for line in lines])
        print(f"{self.output}: {len(found)} checkpoints, {self.batches} training batches each")


@dataclass(frozen=True)
class ShowLine(FromRun):
    """Draw the loss on the straight line between two checkpoints."""

    first: tyro.conf.Positional[str]
    """The first checkpoint: best, latest, or a step; 0 is the initial state."""
    second: tyro.conf.Positional[str]
    """The second checkpoint."""
    points: int = 25
    """Number of points on the line that are evaluated; at least 3."""
    examples: int = 1000
    """How many examples of the validation part are used at most, evenly spread."""
    output: Path = Path("line.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints how far the loss rises on the way."""
        import numpy as np

        from cnn_jax.inside.examples import evenly, held_out
        from cnn_jax.inside.loss_line import barrier, loss_line
        from cnn_jax.report.line_picture import draw_line
        from cnn_jax.run_folder import RunFolder
        from cnn_jax.tasks import metric_that_counts
        from cnn_jax.training.evaluator import Evaluator

        check_least(3, points=self.points)
        check_least(examples=self.examples)
        if self.first == self.second:
            raise UserError(f"{self.first} is given twice; a line has two ends")
        ends = [self._variables(step) for step in (self.first, self.second)]
        restored = ends[0][0]
        part, whole = held_out(restored, RunFolder(self.run), self.data_dir)
        examples = whole.take(evenly(len(whole), self.examples))
        evaluator = Evaluator(restored.recipe, restored.spec, restored.mesh, None)

        def measure(variables: Any) -> Any:
            return evaluator(variables, examples)

        line = loss_line(ends[0][1], ends[1][1], measure, self.points)
        counts = metric_that_counts(restored.recipe).name
        metrics = [name for name in dict.fromkeys(["loss", counts]) if name in line.metrics]
        names = [f"step {name}" if name.isdigit() else name for name in (self.first, self.second)]
        draw_line(line, metrics, (names[0], names[1]), self.output)
        at = [float(np.interp(place, line.shares, line.metrics["loss"])) for place in (0, 1)]
        print(f"loss {at[0]:.4g} at {names[0]}, {at[1]:.4g} at {names[1]}")
        print(f"on the way it rises by at most {barrier(line):.4g} above the straight line")
        print(
            f"{self.output}: {self.points} states, {len(examples):,} {restored.spec.unit} of the "
            f"{part} part"
        )

    def _variables(self, step: str) -> tuple[Restored, Any]:
        from cnn_jax.inside.training_batches import initial_variables
        from cnn_jax.restored import restore

        if step != "0":
            restored = restore(self.run, step, self.code)
            return restored, restored.variables
        restored = restore(self.run, "latest", self.code)
        if restored.recipe.init.source is not None:
            raise UserError("the run began with weights from elsewhere; step 0 is not known")
        return restored, initial_variables(restored)
