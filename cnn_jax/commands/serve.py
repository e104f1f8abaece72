"""The command that opens the page of a run over a local port: serve."""

from __future__ import annotations

import contextlib
import signal
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cnn_jax.commands.shown_run import opened

PORT = 8042


@dataclass(frozen=True)
class Serve:
    """Open the page of a run in the browser, and try own pictures, sounds, series or texts there.

    It is served to this machine alone, on 127.0.0.1, until Ctrl-C.
    """

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    port: int = PORT
    """Where it listens; 0 for any port that is free."""
    open: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Open the page in the browser as well."""
    top: int = 5
    """How many classes or boxes are told of each."""
    checkpoint: str = "best"
    """best, latest, or a step."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Files to use for code of your own that has changed, moved or gone since the run began. They
    are imported, which runs them."""

    def __call__(self) -> None:
        """Prints the address, and serves until Ctrl-C.

        Raises:
          UserError: it is no run folder, or the port cannot be used.
        """
        from cnn_jax.serve.limits import MOST_BYTES
        from cnn_jax.serve.section import alone, try_section
        from cnn_jax.serve.server import LocalServer, Served
        from cnn_jax.serve.told import Teller

        # The port first: who has to give another should not wait for the model.
        server = LocalServer(self.port)
        with contextlib.closing(server.socket):
            found = opened(self.run, self.checkpoint, self.code)
            teller = Teller(found.restored, self.top)
            teller.warm_up()
            recipe = found.trained.recipe
            page = alone(f"{recipe.name}: {recipe.model.name}", try_section(teller))
            served = Served(
                page,
                lambda name, content: teller(name, content).to_json(),
                MOST_BYTES[teller.kind],
            )
            with ended_by_signals():
                print(f"{server.address} (Ctrl-C ends it)", flush=True)
                if self.open:
                    webbrowser.open(server.address)
                server.serve(served)
        print("stopped")


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it the signals by which a server is ended raise KeyboardInterrupt.

    They are its ordinary end, after which there is nothing to go on with.
    """
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.getsignal(name) for name in names}
    try:
        for name in names:
            if before[name] != signal.SIG_IGN:
                signal.signal(name, signal.default_int_handler)
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
