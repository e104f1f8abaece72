"""What the commands `cnn-jax show` share: a run that is opened, and a picture that is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from cnn_jax.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cnn_jax.inside.examples import Looked
    from cnn_jax.restored import Restored
    from cnn_jax.run_folder import RunFolder
    from cnn_jax.trained import TrainedModel


@dataclass(frozen=True)
class FromRun:
    """What all commands take that look at one run."""

    run: tyro.conf.Positional[Path]
    """A run folder, such as runs/digits_lenet5."""
    _: KW_ONLY
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""


@dataclass(frozen=True)
class FromCheckpoint(FromRun):
    """The same, and of which checkpoint."""

    _: KW_ONLY
    checkpoint: str = "best"
    """Which checkpoint: best, latest, or a step such as 500. Without validation, best is the
    latest."""

    def opened(self) -> Opened:
        """The model of the run folder, or one with published weights.

        Raises:
          UserError: it is neither.
        """
        return opened(self.run, self.checkpoint, self.code)


def check_least(least: int = 1, **given: int) -> None:
    """Checks the numbers that flags are given.

    Args:
      least: what each must be at least.
      given: by the name of the flag.

    Raises:
      UserError: one is below it.
    """
    for name, value in given.items():
        if value < least:
            raise UserError(f"--{name} {value} must be at least {least}")


@dataclass(frozen=True)
class Opened:
    """A trained model that is looked into.

    Attributes:
      restored: it, as it was read.
      trained: the same, with its functions.
      folder: of its run; None of published weights.
    """

    restored: Restored
    trained: TrainedModel
    folder: RunFolder | None

    def looked(self, words: Sequence[Path], count: int, data_dir: Path | None) -> Looked:
        """The pictures of a command line; where none are given, examples of the run's own data.

        Raises:
          UserError: one cannot be read, or nothing is given and there is no run.
        """
        from cnn_jax.inside.examples import of_part, of_user

        if words:
            return of_user(self.trained, self.restored, words)
        if self.folder is None:
            raise UserError("a model with published weights has no examples of its own; give files")
        return of_part(self.trained, self.restored, self.folder, count, data_dir)


def opened(run: Path, checkpoint: str, code: Sequence[Path]) -> Opened:
    """The model of a run folder, or one with published weights.

    Raises:
      UserError: it is neither.
    """
    from cnn_jax import models
    from cnn_jax.pretrained.published import PUBLISHED, restore_published
    from cnn_jax.restored import restore
    from cnn_jax.run_folder import RunFolder
    from cnn_jax.trained import TrainedModel

    if run.exists():
        restored = restore(run, checkpoint, code)
        return Opened(restored, TrainedModel(restored), RunFolder(run))
    if str(run) not in models.names():
        raise UserError(
            f"{run} is no run folder, and no model with published weights, which are: "
            + ", ".join(PUBLISHED)
        )
    restored = restore_published(str(run))
    return Opened(restored, TrainedModel(restored), None)


def save(picture: Image.Image, output: Path) -> None:
    """Writes a picture.

    Raises:
      UserError: it cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        picture.save(output)
    except (OSError, ValueError) as error:
        raise UserError(f"--output {output} cannot be written: {error}") from None


def told_lines(
    trained: TrainedModel, outputs: np.ndarray, top: int
) -> list[tuple[str, str, float]]:
    """What is told of one example, the most probable first: names, values in words, and shares.

    Args:
      trained: the model.
      outputs: (k,) of its net, or (h, w, k) of pixels.
      top: how many classes at most.
    """
    import numpy as np

    from cnn_jax.tasks import kind_of

    names, task = trained.spec.class_names, trained.task
    answers = np.asarray(task.answers(outputs[None])[0])
    if kind_of(trained.recipe).NUMBERS:
        return [(name, f"{value:.4g}", 0.0) for name, value in zip(names, answers, strict=True)]
    if answers.ndim == 3:
        told = np.argmax(answers, axis=-1)
        answers = np.bincount(told.ravel(), minlength=len(names)) / told.size
    best = np.argsort(-answers, kind="stable")[:top]
    return [(names[place], f"{answers[place]:.1%}", float(answers[place])) for place in best]


def last_step(trained: TrainedModel) -> str:
    """What turns the outputs of a net into what is told."""
    from cnn_jax.tasks import kind_of

    task: Any = trained.task
    if kind_of(trained.recipe).NUMBERS:
        return "in the unit of the data"
    kind = getattr(task, "PREDICTED", "")
    one_by_one = kind in ("binary", "tags") or trained.recipe.loss.name == "binary_cross_entropy"
    return "sigmoid" if one_by_one else "softmax"


def title_of(trained: TrainedModel, looked: Looked, place: int, told: str) -> str:
    """What stands above an example: what is true of it, if that is known, and what is told."""
    import numpy as np

    if looked.targets is None:
        return f"{looked.names[place]}: {told}"
    if isinstance(looked.targets, np.ndarray) and looked.targets.ndim == 1:
        true = trained.spec.class_names[int(looked.targets[place])]
        return f"{told} (true: {true})"
    return told
