"""The command `cnn-jax`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from tyro.conf import subcommand

from cnn_jax.commands.command_line import parse, quiet_libraries
from cnn_jax.commands.data import DataCommand
from cnn_jax.commands.export import Export
from cnn_jax.commands.launch import LaunchProcesses
from cnn_jax.commands.models import Models
from cnn_jax.commands.plan import PlanCost
from cnn_jax.commands.runs import Evaluate, Predict, Runs
from cnn_jax.commands.template import TemplateCommand
from cnn_jax.devices.compilation_cache import use_cache
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.errors import shown_to_user

Command = (
    Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Predict, subcommand("predict")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Runs, subcommand("runs")]
    | Annotated[Models, subcommand("models")]
    | Annotated[PlanCost, subcommand("plan")]
    | Annotated[LaunchProcesses, subcommand("launch")]
    | Annotated[TemplateCommand, subcommand("template")]
    | Annotated[DataCommand, subcommand("data")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out a command.

    Args:
      arguments: the words of the command line, by default those of the process.
    """
    quiet_libraries()
    fix_settings()
    use_cache()
    with shown_to_user():
        parse(Command, arguments=arguments)()  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
