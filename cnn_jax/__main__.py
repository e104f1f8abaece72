"""The command `cnn-jax`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from tyro.conf import subcommand

from cnn_jax.commands.command_line import foreign_flags_told, parse, quiet_libraries
from cnn_jax.commands.data import DataCommand
from cnn_jax.commands.export import Export
from cnn_jax.commands.launch import LaunchProcesses
from cnn_jax.commands.models import Models
from cnn_jax.commands.plan import PlanCost
from cnn_jax.commands.runs import Evaluate, Predict, Runs
from cnn_jax.commands.template import TemplateCommand
from cnn_jax.devices.compilation_cache import use_cache
from cnn_jax.devices.device_failure import devices_told
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.errors import shown_to_user
from cnn_jax.terminal import never_fail

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

GROUPS = (DataCommand, TemplateCommand)
"""Commands of which each holds further ones."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out a command.

    Args:
      arguments: the words of the command line, by default those of the process.
    """
    never_fail()
    quiet_libraries()
    fix_settings()
    with shown_to_user(), devices_told():
        use_cache()
        command: Any = parse(Command, arguments=arguments, name="cnn-jax")  # type: ignore[arg-type]
        command = command.command if isinstance(command, GROUPS) else command
        with foreign_flags_told(command):
            command()


if __name__ == "__main__":
    main()
