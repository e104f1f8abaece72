"""Independent runs at once, each on a device of its own."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.text import Text

from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe
from cnn_jax.training.stop import Stop, Stopped

Pair = tuple[Recipe, Path]


def run_at_once(
    pairs: Sequence[Pair],
    train: Callable[[Recipe, Path, Any, Stop, Console], dict[str, Any]],
    on_device: Callable[[jax.Device], Any],
    stop: Stop,
    console: Console,
) -> list[dict[str, Any]]:
    """Trains each pair of a recipe and a run folder on a device; a free device takes the next.

    Threads suffice: a run waits for its device, and the compiler lets the others go on.

    Args:
      pairs: what is trained where.
      train: trains one, given what `on_device` made.
      on_device: makes what the runs of a device share: the data there and its program.
      stop: whether all are asked to stop.
      console: where progress is shown, each line after its seed.

    Returns:
      The summaries, in the order of the pairs.

    Raises:
      UserError: of the first run that failed, once all others have ended.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(pairs)):
        waiting.put(index)
    found: dict[int, dict[str, Any]] = {}
    failed: dict[int, BaseException] = {}

    def work(device: jax.Device) -> None:
        made = None
        with jax.default_device(device):
            while not stop():
                try:
                    index = waiting.get_nowait()
                except queue.Empty:
                    return
                recipe, path = pairs[index]
                try:
                    made = on_device(device) if made is None else made
                    prefixed = _Prefixed(console, f"seed {recipe.seed}: ")
                    found[index] = train(recipe, path, made, stop, prefixed)
                except BaseException as error:
                    failed[index] = error

    devices = jax.local_devices()[: len(pairs)]
    threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        # With a limit, since a thread that waits without one hears no signal.
        while thread.is_alive():
            thread.join(0.2)
    for index, error in sorted(failed.items()):
        if isinstance(error, UserError):
            error.args = (f"seed {pairs[index][0].seed}: {error}",)
        raise error
    if len(found) < len(pairs):
        raise Stopped("stopped before all seeds had begun; the same command goes on from there")
    return [found[index] for index in range(len(pairs))]


class _Prefixed(Console):
    """A console whose lines begin with the name of a run."""

    def __init__(self, console: Console, prefix: str) -> None:
        super().__init__(file=console.file or sys.stdout, quiet=console.quiet, force_terminal=False)
        self._prefix = prefix

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as ever, after the prefix."""
        super().print(Text(self._prefix + " ".join(map(str, objects))), **options)
