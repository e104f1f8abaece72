"""The command that writes the file of an experiment, to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from string import Template

import tyro

from cnn_jax.defaults.recipes import DEFAULTS
from cnn_jax.errors import UserError, unknown
from cnn_jax.user_path import user_path

_DATA = {
    "classification": 'Data("digits")',
    "binary": 'Data("folder:photos", image_size=64)',
}
_TABLE = 'Data("csv:labels.csv", image_size=64)'


@dataclass(frozen=True)
class NewExperiment:
    """Write the file of a new experiment: a short recipe for you to change.

    `cnn-jax new my_experiment` writes my_experiment.py, and `cnn-jax train my_experiment.py` runs
    it. The one for classification runs as it is; in the others put your own data first.
    """

    name: tyro.conf.Positional[str]
    """Name of the experiment, perhaps with a folder: experiments/my_experiment."""
    task: str = "classification"
    """What the model is trained for: classification, binary, tagging or regression."""

    def __call__(self) -> None:
        """Writes the file and names it.

        Raises:
          UserError: the name or the task is none, or the file is there or cannot be written.
        """
        if self.task not in DEFAULTS:
            raise unknown("task", self.task, DEFAULTS)
        path = user_path(self.name)
        path = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
        if not path.stem.isidentifier():
            raise UserError(
                f"{path.stem!r} is no name of a Python module: letters, digits and _, no digit "
                "first"
            )
        template = resources.files("cnn_jax") / "commands" / "templates" / "experiment.txt"
        text = Template(template.read_text()).substitute(
            name=path.stem, file=path, task=self.task, data=_DATA.get(self.task, _TABLE)
        )
        try:
            with path.open("x") as file:
                file.write(text)
        except FileExistsError:
            raise UserError(f"{path} is there already; choose another name") from None
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        print(f"{path}: run it with cnn-jax train {path}")
