"""The command `cnn-jax`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cnn_jax.interruption import importing

with importing():
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
    from cnn_jax.errors import UserError, shown_to_user
    from cnn_jax.output_streams import forgiving_output
    from cnn_jax.terminal import never_fail
    from cnn_jax.training.stop import StopRequest

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
    with (
        forgiving_output() as output,
        shown_to_user(),
        StopRequest(ends_process=True, nothing="stopped"),
        devices_told(),
    ):
        quiet_libraries()
        fix_settings()
        use_cache()
        command: Any = parse(Command, arguments=arguments, name="cnn-jax")  # type: ignore[arg-type]
        command = command.command if isinstance(command, GROUPS) else command
        with foreign_flags_told(command):
            command()
        sys.stdout.flush()
        if isinstance(output.failure, BrokenPipeError):
            sys.exit(141)  # the reader has had enough, as in `cnn-jax runs | head -1`
        if output.failure is not None:
            failed = UserError(f"the output could not be written: {output.failure.strerror}")
            failed.exit_code = 74  # EX_IOERR
            raise failed


if __name__ == "__main__":
    main()
