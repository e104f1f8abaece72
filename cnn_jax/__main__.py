"""The command `cnn-jax`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cnn_jax.interruption import importing

with importing():
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
    from cnn_jax.errors import UserError, shown_to_user
    from cnn_jax.output_streams import forgiving_output
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out a command.

    Args:
      arguments: the words of the command line, by default those of the process.
    """
    with (
        forgiving_output() as output,
        shown_to_user(),
        StopRequest(ends_process=True, nothing="stopped"),
    ):
        quiet_libraries()
        use_cache()
        parse(Command, arguments=arguments)()  # type: ignore[arg-type]
        sys.stdout.flush()
        if isinstance(output.failure, BrokenPipeError):
            sys.exit(141)  # the reader has had enough, as in `cnn-jax runs | head -1`
        if output.failure is not None:
            failed = UserError(f"the output could not be written: {output.failure.strerror}")
            failed.exit_code = 74  # EX_IOERR
            raise failed


if __name__ == "__main__":
    main()
