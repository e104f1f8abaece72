"""Commands that write what a cluster is given to run an experiment: template slurm, jobset."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from string import Template as Text
from typing import Any

import tyro

from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.errors import UserError
from cnn_jax.interruption import STATUS
from cnn_jax.recipe import Recipe

_TIME = re.compile(r"(\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2})")
"""Slurm's: minutes, minutes:seconds, hours:minutes:seconds, and with days before hours."""


@dataclass(frozen=True)
class Slurm:
    """Print a Slurm batch script that trains an experiment, and queues itself again when its time
    is over: `cnn-jax template slurm experiments/x.py --nodes 2 > x.sh; sbatch x.sh`.
    """

    recipe: tyro.conf.Positional[Path]
    """An experiment's .py file."""
    nodes: int = 1
    """Number of machines."""
    gpus: int = 8
    """GPUs of each machine; there is one process for each GPU."""
    time: str = "24:00:00"
    """Time limit of one job, as Slurm writes it: minutes, hours:minutes:seconds or
    days-hours:minutes:seconds."""
    workdir: Path | None = None
    """The run folder, in a file system that all nodes can write. By default runs/NAME."""
    experiment_arguments: str = ""
    """Further flags of the experiment, as one text after an equals sign:
    --experiment-arguments="--epochs 3 --parallel.fsdp 8"."""

    def __call__(self) -> None:
        """Prints the script.

        Raises:
          UserError: the recipe cannot be read, or an option is none.
        """
        recipe = _checked(self.recipe, self.nodes, self.gpus)
        if not _TIME.fullmatch(self.time):
            raise UserError(
                f"--time {self.time} is no limit of Slurm; write minutes, hours:minutes:seconds or "
                "days-hours:minutes:seconds, such as 12:00:00"
            )
        workdir = self.workdir or Path("runs") / recipe.name
        values = {
            "name": recipe.name,
            "job": re.sub(r"[^\w.-]", "-", recipe.name),
            "nodes": self.nodes,
            "gpus": self.gpus,
            "time": self.time,
            "command": _command(self.recipe, str(workdir), self.experiment_arguments),
        }
        print(_filled("slurm.sh", values), end="")


@dataclass(frozen=True)
class JobSet:
    """Print a Kubernetes JobSet that trains an experiment, and starts again when a node is taken
    away: `cnn-jax template jobset experiments/x.py --image IMAGE | kubectl apply -f -`.
    """

    recipe: tyro.conf.Positional[Path]
    """An experiment's .py file; in the image it must have the same path."""
    image: str
    """The container image, with cnn_jax installed and the experiment in its working folder."""
    nodes: int = 1
    """Number of machines, with one process each."""
    gpus: int = 8
    """GPUs of each machine."""
    workdir: PurePosixPath | None = None
    """The run folder in the containers, on the volume of --claim, which is mounted at its parent
    folder. By default /shared/NAME."""
    claim: str = "shared"
    """Name of a PersistentVolumeClaim, of a file system that all nodes can write."""
    experiment_arguments: str = ""
    """Further flags of the experiment, as one text after an equals sign:
    --experiment-arguments="--epochs 3 --parallel.fsdp 8"."""

    def __call__(self) -> None:
        """Prints the manifest.

        Raises:
          UserError: the recipe cannot be read, or an option is none.
        """
        recipe = _checked(self.recipe, self.nodes, self.gpus)
        workdir = self.workdir or PurePosixPath("/shared") / recipe.name
        if not workdir.is_absolute() or workdir.parent == PurePosixPath("/"):
            raise UserError(
                f"--workdir {workdir} must be a folder on a mounted volume, such as "
                f"/shared/{recipe.name}"
            )
        for flag, value in (("image", self.image), ("claim", self.claim)):
            if not re.fullmatch(r"\S+", value):
                raise UserError(f"--{flag} {value!r} is no name")
        values = {
            "name": recipe.name,
            "job": _dns_name(recipe.name),
            "nodes": self.nodes,
            "gpus": self.gpus,
            # Strings of JSON are strings of YAML.
            "image": json.dumps(self.image),
            "mount": json.dumps(str(workdir.parent)),
            "claim": json.dumps(self.claim),
            "command": _command(self.recipe, str(workdir), self.experiment_arguments),
        }
        print(_filled("jobset.yaml", values), end="")


def _checked(file: Path, nodes: int, gpus: int) -> Recipe:
    for flag, value in (("nodes", nodes), ("gpus", gpus)):
        if value < 1:
            raise UserError(f"--{flag} {value} must be at least 1")
    if file.suffix != ".py":
        raise UserError(
            f"RECIPE must be the .py file of an experiment, which is run; {file} is not"
        )
    return read_recipe(file)


def _command(file: Path, workdir: str, arguments: str) -> str:
    """The experiment's command line, as a shell reads it."""
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise UserError(f"--experiment-arguments {arguments!r}: {error}") from None
    return shlex.join(["python", str(file), "--workdir", workdir, *words])


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """A file of `templates/` with its names replaced.

    Raises:
      UserError: a value would break a line.
    """
    for name, value in values.items():
        if len(str(value).splitlines()) > 1:
            raise UserError(f"the {name} {value!r} has more than one line")
    text = (resources.files("cnn_jax") / "commands" / "templates" / template).read_text()
    return Text(text).substitute(values, resumable=STATUS)


def _dns_name(name: str) -> str:
    """A name that hosts may have; with what is put behind it, it is shorter than 64 letters."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    return found if found[:1].isalpha() else f"run-{found}".strip("-")
