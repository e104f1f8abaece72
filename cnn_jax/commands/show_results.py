"""Commands that draw what runs told: show mistakes, confusion, reliability, curves, told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from cnn_jax.commands.shown_run import FromCheckpoint, FromRun, check_least, save
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.evaluation.found_predictions import Source

Part = Literal["train", "validation", "test"]


def stored(run: Path, split: Part | None) -> Source:
    """The stored predictions of a run; by default of its validation part, else of its test part.

    Raises:
      UserError: there are none.
    """
    from cnn_jax.evaluation.found_predictions import find_predictions
    from cnn_jax.run_folder import RunFolder

    if split is None:
        split = "validation"
        if run.is_dir() and "validation" not in RunFolder(run).data_spec().examples:
            split = "test"
    return find_predictions(run, split)


@dataclass(frozen=True)
class ShowMistakes(FromRun):
    """Draw the worst, the most confident and the borderline mistakes of a run."""

    run: tyro.conf.Positional[Path]
    """A run folder with stored predictions."""
    split: Part | None = None
    """Which part of the data. By default validation, or test if there is no validation part."""
    examples: int = 10
    """How many mistakes of each kind are drawn at most."""
    output: Path = Path("mistakes.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints how many mistakes there are."""
        from cnn_jax.inside.mistakes import mistakes
        from cnn_jax.inside.predicted_examples import examples_of
        from cnn_jax.report.headed_sheets import headed_sheets
        from cnn_jax.report.input_cells import input_sheet
        from cnn_jax.restored import restore

        check_least(examples=self.examples)
        source = stored(self.run, self.split)
        found = mistakes(source.predictions, self.examples)
        what = source.predictions.what
        if not found.kinds:
            print(f"{what}: all {found.total:,} are told right, so that there is nothing to draw")
            return
        if not self.run.is_dir():
            raise UserError(f"{self.run} is a file of predictions; give the run folder it is of")
        restored = restore(self.run, "best", self.code)
        parts = []
        for heading, each in found.kinds.items():
            places = [mistake.place for mistake in each]
            shown = examples_of(self.run, restored, source.predictions, places, self.data_dir)
            titles = [mistake.title for mistake in each]
            parts.append((heading, input_sheet(restored, shown.inputs, titles)))
        save(headed_sheets(parts), self.output)
        count = "" if found.wrong is None else f"{found.wrong:,} of {found.total:,} are wrong; "
        print(f"{what}: {count}drawn are {', '.join(_short(each) for each in found.kinds)}")
        print(f"{self.output}: {sum(map(len, found.kinds.values()))} {restored.spec.unit}")


def _short(heading: str) -> str:
    return heading.partition(":")[0]


@dataclass(frozen=True)
class ShowConfusion:
    """Draw the confusion matrix: how many examples of each class are predicted as each class."""

    run: tyro.conf.Positional[Path]
    """A run folder with stored predictions, or a Parquet file of them."""
    split: Part | None = None
    """Which part of the data. By default validation, or test if there is no validation part."""
    output: Path = Path("confusion.png")
    """The PNG file to write."""

    def __call__(self) -> None:
        """Writes the picture, and prints the pairs that are confused most."""
        import numpy as np

        from cnn_jax.report.confusion_picture import confusion_picture

        predictions = stored(self.run, self.split).predictions
        matrix, names = predictions.predicted().confusion(), predictions.about["class_names"]
        if matrix is None:
            raise UserError(
                f"of the task {predictions.about['task']} there is no confusion: it is of tasks "
                "that tell one class of several"
            )
        right, total = int(np.trace(matrix)), int(matrix.sum())
        title = f"{predictions.what}: {right:,} of {total:,} right"
        save(confusion_picture(matrix, names, title), self.output)
        print(title)
        apart = matrix - np.diag(np.diag(matrix))
        for place in np.argsort(-apart.ravel(), kind="stable")[:3].tolist():
            row, column = divmod(place, len(names))
            if apart[row, column]:
                print(f"{apart[row, column]:,} of {names[row]} are told to be {names[column]}")
        print(f"{self.output}: {len(names)} classes")


@dataclass(frozen=True)
class ShowReliability:
    """Draw a reliability diagram: how often predictions are right at each confidence."""

    run: tyro.conf.Positional[Path]
    """A run folder with stored predictions, or a Parquet file of them."""
    split: Part | None = None
    """Which part of the data. By default validation, or test if there is no validation part."""
    output: Path = Path("reliability.png")
    """The PNG file to write."""

    def __call__(self) -> None:
        """Writes the picture, and prints the calibration error."""
        from cnn_jax.report.reliability_picture import draw_reliability, reliability
        from cnn_jax.tasks.predicted import calibration

        predictions = stored(self.run, self.split).predictions
        told = predictions.predicted()
        values = told.values()
        if "confidence" in values:
            confidence, right, unit = values["confidence"], values["right"], "what is told"
        elif "probability" in values:
            known = values["known"]
            confidence, right, unit = values["probability"][known], values["truth"][known], "tags"
        else:
            raise UserError(
                f"of the task {predictions.about['task']} there are no probabilities, of which "
                "a reliability diagram could be drawn"
            )
        found = reliability(confidence, right)
        error = calibration.calibration_error(
            confidence, right, calibration.equal_width(confidence)
        )
        draw_reliability([(predictions.what, found, error)], self.output, unit)
        apart = float(confidence.mean() - right.mean())
        tendency = "above" if apart > 0 else "below"
        print(
            f"{predictions.what}: ECE {error:.2%} (15 bins); the mean confidence is "
            f"{abs(apart):.2%} {tendency} the part that is right"
        )
        print(f"{self.output}: {len(confidence):,} probabilities")


@dataclass(frozen=True)
class ShowCurves:
    """Draw the learning curves of runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    metrics: tuple[str, ...] = ()
    """Metrics to draw, such as loss accuracy. By default the loss, and the metric that chooses the
    best checkpoint."""
    output: Path = Path("curves.png")
    """The PNG file to write."""

    def __call__(self) -> None:
        """Writes the picture."""
        from cnn_jax.report.run_curves import draw_run_curves, run_curves
        from cnn_jax.run_folder import RunFolder
        from cnn_jax.tasks import metric_that_counts

        if not self.runs:
            raise UserError("no run is given: cnn-jax show curves RUN...")
        wanted = list(self.metrics)
        if not wanted:
            counts = metric_that_counts(RunFolder(self.runs[0]).recipe()).name
            wanted = list(dict.fromkeys(["loss", counts]))
        names = [run.name for run in self.runs]
        if len(set(names)) < len(names):
            names = [str(run) for run in self.runs]
        found = {name: run_curves(run, wanted) for name, run in zip(names, self.runs, strict=True)}
        draw_run_curves(found, wanted, self.output)
        print(f"{self.output}: {', '.join(wanted)} of {len(self.runs)} run{'s' * (len(names) > 1)}")


@dataclass(frozen=True)
class ShowTold(FromCheckpoint):
    """Draw images with their true boxes or masks, and beside them the predicted ones."""

    run: tyro.conf.Positional[Path]
    """A run folder of a model for detection or segmentation."""
    examples: int = 6
    """How many examples of the validation part are drawn, evenly spread."""
    output: Path = Path("told.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture."""
        from cnn_jax.inside.examples import evenly, held_out
        from cnn_jax.report.told_boxes import told_boxes
        from cnn_jax.report.told_sheet import told_sheet
        from cnn_jax.restored import restore
        from cnn_jax.run_folder import RunFolder
        from cnn_jax.tasks import target_kind

        check_least(examples=self.examples)
        restored = restore(self.run, self.checkpoint, self.code)
        kind = target_kind(restored.recipe)
        if kind not in ("boxes", "mask"):
            raise UserError(
                f"{self.run} tells no boxes or masks ({restored.recipe.task.name}); look at "
                f"cnn-jax show attention {self.run}"
            )
        part, examples = held_out(restored, RunFolder(self.run), self.data_dir)
        if kind == "mask":
            picture = told_sheet(restored, examples, self.examples)
        else:
            places = evenly(len(examples), self.examples)
            picture = told_boxes(restored, examples.decoded(places))
        save(picture, self.output)
        print(f"{self.output}: images of the {part} part, evenly spread")
