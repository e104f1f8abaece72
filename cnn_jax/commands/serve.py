"""The command that opens the page of a run over a local port: serve."""

from __future__ import annotations

import contextlib
import signal
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import tyro

from cnn_jax.commands.shown_run import FromCheckpoint, Opened
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.serve.server import Served

PORT = 8042


@dataclass(frozen=True)
class Serve(FromCheckpoint):
    """Show the report of a run in the browser, and try your own images, sounds, series or texts
    there.

    The page is served only to this machine, on 127.0.0.1, until Ctrl-C.
    """

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    port: int = PORT
    """Port of the server; 0 for any free one."""
    open: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also open the page in the browser."""
    top: int = 5
    """How many classes or boxes are shown for each input."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Prints the address, and serves until Ctrl-C.

        Raises:
          UserError: it is no run folder, or the port cannot be used.
        """
        from cnn_jax.serve.server import LocalServer

        # The port first: who has to give another should not wait for the model.
        server = LocalServer(self.port)
        with contextlib.closing(server.socket):
            served = self._served()
            with ended_by_signals():
                print(f"{server.address} (Ctrl-C ends it)", flush=True)
                if self.open:
                    webbrowser.open(server.address)
                server.serve(served)
        print("stopped")

    def _served(self) -> Served:
        """The page, and what tells of own inputs."""
        from cnn_jax.serve.limits import MOST_BYTES
        from cnn_jax.serve.section import try_section, without_trying
        from cnn_jax.serve.server import Served
        from cnn_jax.serve.told import Teller

        found = self.opened()
        if found.trained.spec.input_kind not in MOST_BYTES:
            says = "Videos are not tried in the browser: cnn-jax predict tells what they show."
            return Served(self._page(found, without_trying(says)), _nothing_told, 0)
        teller = Teller(found.restored, self.top)
        print("the model is compiled and its page written, which takes a moment", flush=True)
        teller.warm_up()
        return Served(
            self._page(found, try_section(teller)),
            lambda name, content: teller(name, content).to_json(),
            MOST_BYTES[teller.kind],
        )

    def _page(self, found: Opened, section: str) -> str:
        """The report of the run with a section more; of published weights that section alone."""
        from cnn_jax.report.page.described import Asked
        from cnn_jax.report.page.libraries import check_libraries
        from cnn_jax.report.page.page import page_of
        from cnn_jax.serve.section import alone

        if found.folder is not None:
            try:
                check_libraries()
            except UserError as error:
                print(f"without a report, of which nothing is shown: {error}")
            else:
                asked = Asked(data_dir=self.data_dir, code=self.code)
                return page_of(self.run, extra_section=section, asked=asked)
        return alone(found.trained.recipe.name, section)


def _nothing_told(name: str, content: bytes) -> NoReturn:
    raise UserError("the model is given videos, which are not tried here")


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
