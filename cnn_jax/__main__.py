"""The command `cnn-jax`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cnn_jax.interruption import importing

with importing():
    from cnn_jax.commands.names import COMMANDS, GROUPS, Command
    from cnn_jax.errors import UserError, shown_to_user, unknown
    from cnn_jax.output_streams import forgiving_output
    from cnn_jax.terminal import never_fail

_ABOUT = "Train convolutional networks, evaluate them and look inside."
_HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out a command.

    Args:
      arguments: the words of the command line, by default those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    never_fail()
    if words[:1] == ["train"]:
        from cnn_jax.commands.train import train

        train(words[1:])
        return
    # Read before JAX is imported, for which nobody with a misspelt flag should wait.
    with forgiving_output(), shown_to_user():
        command = read_command(words)
    _carry_out(command)


def read_command(words: Sequence[str]) -> Any:
    """The command that is asked for; where help is, it is printed and the process ends.

    Raises:
      UserError: there is no such command or flag.
    """
    found: Any = COMMANDS
    name, rest = "cnn-jax", list(words)
    while not isinstance(found, Command):
        known: Mapping[str, Any] = found
        if not rest or rest[0] in _HELP:
            _print_commands(name, known)
            if not rest:
                raise UserError(f"a command is needed: {', '.join(known)}")
            sys.exit(0)
        if rest[0] not in known:
            what = "flag" if rest[0].startswith("-") else "command"
            raise unknown(f"{what} of {name}:", rest[0], known)
        name, found = f"{name} {rest[0]}", known[rest.pop(0)]
    from cnn_jax.commands.command_line import parse, quiet_libraries

    quiet_libraries()
    return parse(found.load(), arguments=rest, name=name)


def _print_commands(name: str, known: Mapping[str, Any]) -> None:
    from cnn_jax.commands.output import show

    about = GROUPS.get(name.partition(" ")[2], _ABOUT)
    widest = max(map(len, known))
    does = {
        word: each.does if isinstance(each, Command) else GROUPS[word]
        for word, each in known.items()
    }
    show(
        [
            ("bold", f"usage: {name} COMMAND ..."),
            ("", ""),
            ("", about[0].upper() + about[1:]),
            ("", ""),
            *(("", f"  {word:<{widest}}  {says}") for word, says in does.items()),
            ("", ""),
            ("", f"`{name} COMMAND --help` lists the flags of a command."),
        ]
    )


def _carry_out(command: Any) -> None:
    with importing():
        from cnn_jax.commands.command_line import foreign_flags_told
        from cnn_jax.devices.compilation_cache import use_cache
        from cnn_jax.devices.device_failure import devices_told
        from cnn_jax.devices.jax_settings import fix_settings
        from cnn_jax.training.stop import StopRequest

    with (
        forgiving_output() as output,
        shown_to_user(),
        StopRequest(ends_process=True, nothing="stopped"),
        devices_told(),
    ):
        fix_settings()
        use_cache()
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
