"""The command that writes the file of an experiment, to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from string import Template

import tyro

from cnn_jax.commands.recipe_source import recipe_source
from cnn_jax.defaults.new_recipe import new_recipe
from cnn_jax.defaults.recipes import DEFAULTS
from cnn_jax.errors import UserError, unknown
from cnn_jax.user_path import user_path


@dataclass(frozen=True)
class NewExperiment:
    """Write the file of a new experiment: a short recipe for you to change.

    `cnn-jax new my_experiment` writes my_experiment.py, and `cnn-jax train my_experiment.py` runs
    it. Those for classification, segmentation and video run as they are; in the others put your
    own data first.
    """

    name: tyro.conf.Positional[str]
    """Name of the experiment, perhaps with a folder: experiments/my_experiment."""
    task: str = "classification"
    """What is learnt, a word of `cnn-jax train`: classification, binary, tagging, regression,
    detection, segmentation, series, sound, video or text."""

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
        found = new_recipe(self.task, path.stem)
        imports, recipe = recipe_source(found.recipe, found.notes)
        text = Template(template.read_text()).substitute(
            name=path.stem, file=path, imports=imports, recipe=recipe
        )
        try:
            with path.open("x") as file:
                file.write(text)
        except FileExistsError:
            raise UserError(f"{path} is there already; choose another name") from None
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        print(
            f"{path}: {'' if found.ready else 'put your own data into it, then '}"
            f"run it with cnn-jax train {path}"
        )
