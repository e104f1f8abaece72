"""Commands that use the model of a run: evaluate, predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cnn_jax.commands.output import (
    metric_text,
    print_by_name,
    print_fields,
    print_json,
    print_rows,
)
from cnn_jax.errors import UserError
from cnn_jax.evaluation.split_name import SplitName
from cnn_jax.recipe import Data, Init, Model, Options, Preprocess, Recipe, Task, Views

if TYPE_CHECKING:
    from cnn_jax.data.dataset import Examples
    from cnn_jax.data.images import UnreadableImage
    from cnn_jax.evaluation.predict import Told
    from cnn_jax.evaluation.predict_boxes import Placed
    from cnn_jax.restored import Restored


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the model of a run, or weights from elsewhere, on every example of a part of the
    data.
    """

    run: tyro.conf.Positional[Path | None] = None
    """A run folder, such as runs/digits_lenet5. Leave it out with --weights."""
    checkpoint: str = "best"
    """Which checkpoint: best, latest, or a step such as 500. Without validation, best is the
    latest."""
    split: SplitName | None = None
    """Which part of the data to evaluate. By default test; for another data set (--dataset) without
    a test part, all of it."""
    dataset: str | None = None
    """Evaluate on another data set, such as folder:new; by default on that of the run. Images are
    resized to the model's input, and some classes may be missing. If the run has trained on some of
    the examples, the others also get metrics of their own."""
    skip_bad: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --dataset: leave out files that cannot be read, instead of stopping with an error."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    views: Views | None = None
    """Average the logits of these views of each image, see --views of an experiment. By default as
    in the recipe."""
    options: Options = field(default_factory=dict)
    """Options of the task as name=value, such as window=256 for segmentation. They replace those of
    the same name in the recipe."""
    workers: int | None = None
    """Number of processes that read a streamed data set. By default one for each processor."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""
    pictures: Path | None = None
    """Also draw some of the images with their true and predicted masks into this PNG file."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""
    weights: Path | None = None
    """Evaluate weights that are not of a run: whatever --init-from takes. Give --model and
    --data.name too. Predictions are written to ./predictions."""
    model: str | None = None
    """With --weights: the name of their model; cnn-jax models lists all."""
    model_options: Options = field(default_factory=dict)
    """With --weights: options of the model as name=value, such as widths=32,64."""
    names: str | None = None
    """With --weights: a JSON file that maps their names to ours, see --init.names."""
    data: Data = field(default_factory=lambda: Data(""))
    """With --weights: the data to evaluate on. The classes of the data are taken for those of the
    weights, in their order."""
    task: Task = field(default_factory=Task)
    """With --weights: what they were trained for."""
    preprocess: Preprocess = field(default_factory=Preprocess)
    """With --weights: how images are prepared."""
    records: Path | None = None
    """Compute the metrics again from this file of predictions of the run,
    RUN/predictions/NAME.parquet, without the model and the data."""

    def __call__(self) -> None:
        """Prints the metrics, and writes them beside the run.

        Raises:
          UserError: neither a run nor weights are given, or something is unknown or does not fit.
        """
        if self.weights is not None:
            self._show(self._of_weights())
            return
        if self.run is None:
            raise UserError(
                "no run is given: cnn-jax evaluate RUN, or --weights FILE --model NAME --data.name "
                "SET for weights from elsewhere"
            )
        own = [
            flag
            for flag, given, plain in (
                ("--model", self.model, None),
                ("--data.*", self.data, Data("")),
                ("--task.*", self.task, Task()),
                ("--preprocess.*", self.preprocess, Preprocess()),
                ("--names", self.names, None),
                ("--model-options", dict(self.model_options), {}),
            )
            if given != plain
        ]
        if own:
            raise UserError(
                f"{' and '.join(own)} are for --weights; a run has its own (another data set is "
                "--dataset)"
            )
        from cnn_jax.evaluation.evaluate import evaluate
        from cnn_jax.evaluation.saved_records import metrics_of

        found = (
            evaluate(
                self.run,
                self.checkpoint,
                self.split,
                self.dataset,
                self.data_dir,
                self.views,
                self.workers,
                self.skip_bad,
                self.code,
                self.options,
                None if self.pictures is None else self._draw,
            )
            if self.records is None
            else metrics_of(self.run, self.records, self.code)
        )
        self._show(found)

    def _of_weights(self) -> dict[str, Any]:
        from cnn_jax.pretrained.foreign import evaluate_weights

        for flag, given in (("RUN", self.run), ("--dataset", self.dataset)):
            if given is not None:
                raise UserError(f"{flag} {given} and --weights are two things; give one of them")
        of_runs = {
            "--pictures": self.pictures,
            "--records": self.records,
            "--options": self.options,
            "--code": self.code,
        }
        if no := [flag for flag, given in of_runs.items() if given]:
            raise UserError(
                f"{' and '.join(no)} {'are' if no[1:] else 'is'} for runs, not --weights"
            )
        if self.model is None or not self.data.name:
            lacking = "--model NAME" if self.model is None else "--data.name SET"
            raise UserError(f"--weights {self.weights} needs {lacking} as well")
        assert self.weights is not None
        recipe = Recipe(
            self.weights.stem,
            data=self.data,
            task=self.task,
            preprocess=self.preprocess,
            model=Model(self.model, options=self.model_options),
            init=Init(str(self.weights), names=self.names, checkpoint=self.checkpoint),
            views=self.views or "none",
        )
        return evaluate_weights(recipe, self.split, data_dir=self.data_dir, workers=self.workers)

    def _show(self, found: dict[str, Any]) -> None:
        if self.json:
            print_json(found)
            return
        hidden = ("versions", "devices", "notes", "unseen", "details", "predictions")
        shown = {k: v for k, v in found.items() if k not in hidden}
        print_fields({k: metric_text(k, v) for k, v in shown.items() if "/" not in k})
        print_by_name(shown)
        if "predictions" in found:
            print(f"predictions: {found['predictions']}")
        for note in found["notes"]:
            print(note)
        if found["unseen"]:
            print("without them:")
            unseen = found["unseen"]
            print_fields({k: metric_text(k, v) for k, v in unseen.items() if "/" not in k})
            print_by_name(unseen)

    def _draw(self, restored: Restored, examples: Examples) -> None:
        from cnn_jax.report.told_sheet import told_sheet

        assert self.pictures is not None
        sheet = told_sheet(restored, examples)
        try:
            sheet.save(self.pictures)
        except (OSError, ValueError) as error:
            raise UserError(f"--pictures {self.pictures} cannot be written: {error}") from None


@dataclass(frozen=True)
class Predict:
    """Predict the classes, numbers, masks or boxes of your own images, sounds, videos, series or
    texts.
    """

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files (JPEG, PNG, BMP, WebP, TIFF), folders, patterns such as '*.jpg', or - for
    standard input. For models of sounds, videos or series: their files and folders. For models of
    texts: texts in quotes, or files with a text in each line."""
    checkpoint: str = "best"
    """Which checkpoint: best, latest, or a step such as 500. Without validation, best is the
    latest."""
    top: int = 5
    """How many of the most probable classes, or of the best boxes, are printed for each input."""
    output: Path | None = None
    """For segmentation and detection: the folder for masks, boxes and the images with these drawn
    over them. By default ./predictions."""
    csv: Path | None = None
    """Also write a table to this CSV file: one row for each input, with its name, the predicted
    class and the probability of every class, or the predicted numbers."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Prints a row for each image and class; those that cannot be read are named at the end."""
        from cnn_jax.data.images import UnreadableImage
        from cnn_jax.evaluation.pictures import pictures
        from cnn_jax.evaluation.placed import PLACED, placed_kind
        from cnn_jax.evaluation.predict import cannot_be_read, predict_readable, write_csv
        from cnn_jax.evaluation.series_to_tell import is_series
        from cnn_jax.evaluation.sounds_to_tell import is_sound
        from cnn_jax.evaluation.videos_to_tell import videos_among

        if not self.images:
            raise UserError("nothing is given to be told: cnn-jax predict RUN FILE...")
        if self.top < 1:
            raise UserError(f"--top {self.top} must be at least 1")
        restored = self._restored()
        if restored.spec.input_kind == "tokens":
            self._of_texts(restored)
            return
        images, kind = self.images, restored.spec.input_kind
        others = {"sound": (is_sound, "sounds"), "series": (is_series, "series")}
        if kind == "clip":
            files, bad = videos_among(images), list[UnreadableImage]()
        else:
            files, bad = pictures(images, *others.get(kind, ()))
        if (placed := placed_kind(restored)) is not None:
            if self.csv is not None:
                raise UserError(
                    f"--csv {self.csv} is for what is told of whole images; of places in them a "
                    "file is written to --output"
                )
            output = self.output or Path("predictions")
            self._placed(PLACED[placed](restored, files, output, self.top), bad)
            return
        names = restored.spec.class_names
        every, unreadable = predict_readable(restored, files, len(names), self.output)
        bad += unreadable
        if self.csv is not None:
            write_csv(self.csv, every, names)
        self._show([each.best(self.top) for each in every])
        if bad:
            raise cannot_be_read(bad)

    def _placed(self, found: Placed, bad: list[UnreadableImage]) -> None:
        """Prints what was found in pictures, and what was written of it."""
        from cnn_jax.evaluation.predict import cannot_be_read

        if self.json:
            print_json(found.rows)
        else:
            columns = list(dict.fromkeys(name for row in found.rows for name in row))
            print_rows(found.rows, columns, as_json=False, empty="")
            for line in found.written:
                print(line)
        if bad := bad + found.bad:
            raise cannot_be_read(bad)

    def _of_texts(self, restored: Restored) -> None:
        """Prints the same of texts, and in JSON also the windows of words that decided."""
        from cnn_jax.evaluation.predict import write_csv
        from cnn_jax.evaluation.predict_text import (
            cut_texts,
            deciding_windows,
            predict_texts,
            texts_of,
        )

        names = restored.spec.class_names
        texts = texts_of(self.images, restored)
        every = predict_texts(restored, texts, len(names))
        if self.csv is not None:
            write_csv(self.csv, every, names)
        best = [each.best(self.top) for each in every]
        if self.json:
            rows = [dataclasses.asdict(each) for each in best]
            windows = deciding_windows(restored, texts)
            for row, each in zip(rows, windows, strict=True):
                row["text"] = row.pop("image")
                row["windows"] = [dataclasses.asdict(window) for window in each]
            print_json(rows)
            return
        self._show(best, "text")
        if cut := cut_texts(restored, texts):
            print(cut)
        if len(texts) == 1 and (found := deciding_windows(restored, texts)[0]):
            print("decided by: " + "; ".join(f"{each.words!r} {each.share:+.3g}" for each in found))

    def _show(self, found: Sequence[Told], what: str = "image") -> None:
        from cnn_jax.evaluation.predict import Estimate, Shares

        if self.json:
            print_json([dataclasses.asdict(each) for each in found])
            return
        if not found:
            return
        rows: list[dict[str, str]] = []
        for each in found:
            if isinstance(each, Estimate):
                told = zip(each.names, map("{:.4g}".format, each.numbers), strict=True)
            elif isinstance(each, Shares):
                told = zip(each.classes, map("{:.2%}".format, each.shares), strict=True)
            else:
                told = zip(each.classes, map("{:.2%}".format, each.probabilities), strict=True)
            for rank, (name, value) in enumerate(told):
                image = each.image if rank == 0 else ""
                rows.append({"image": image, "told": name, "value": value})
        words = found[0].WORDS
        renamed = [dict(zip((what, *words), row.values(), strict=True)) for row in rows]
        print_rows(renamed, (what, *words), as_json=False, empty="")

    def _restored(self) -> Restored:
        from cnn_jax import models
        from cnn_jax.pretrained.published import PUBLISHED, restore_published
        from cnn_jax.restored import restore

        if self.run.exists():
            return restore(self.run, self.checkpoint, self.code)
        name = str(self.run)
        if name in models.names():
            return restore_published(name)
        raise UserError(
            f"{name} is no run folder, and no model with published weights, which are: "
            + ", ".join(PUBLISHED)
        )
