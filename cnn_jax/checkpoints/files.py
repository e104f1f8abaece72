"""The files of checkpoints on disk: whole or damaged, laid aside and taken back."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from cnn_jax.checkpoints.seal import host_checksum, text_checksum
from cnn_jax.optimisation.paths import path_name

REPLACED, BROKEN, LEFT = "replaced", "broken", "left"
"""Ends of the names of checkpoints that do not count: one that is being written anew; one that is
damaged; one that a run has turned back from after a failure."""


def steps_in(directory: Path) -> list[int]:
    """The steps that checkpoints lie in a folder of, rising."""
    if not directory.is_dir():
        return []
    return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdigit())


def read_metrics(checkpoint: Path) -> dict[str, Any]:
    """The validation metrics of a checkpoint; empty where it was not validated.

    Raises:
      ValueError: they are not what was written.
    """
    file = checkpoint / "metrics" / "metrics"
    if not file.parent.exists():
        return {}
    try:
        found = dict(json.loads(file.read_bytes()))
        stored = found.pop("checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its metrics cannot be read ({error})") from None
    if stored != text_checksum(found):
        raise ValueError("its metrics are not what was saved")
    return found


def with_checksum(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics as `read_metrics` can check them."""
    return {**metrics, "checksum": text_checksum(metrics)}


def unsealed(progress: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """The loop's progress and the checksums of the state, of what was saved with them.

    Raises:
      ValueError: it is not what was written.
    """
    found = dict(progress)
    try:
        seal = found.pop("seal")
        sums, own = dict(seal["sums"]), seal["progress"]
    except (KeyError, TypeError, ValueError):
        raise ValueError("its seal cannot be read") from None
    if own != text_checksum([found, sums]):
        raise ValueError("the loop's progress is not what was saved")
    return found, sums


def sealed(progress: dict[str, Any], sums: dict[str, int]) -> dict[str, Any]:
    """Progress and checksums as `unsealed` can check them."""
    return {**progress, "seal": {"sums": sums, "progress": text_checksum([progress, sums])}}


def check_alone(checkpoint: Path) -> None:
    """Reads a whole checkpoint into the memory of this host, and checks it.

    Without a word to other processes: what all restore together must be known to be whole.

    Raises:
      ValueError: it is not what was written.
    """
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix="alone",
    )
    try:
        read_metrics(checkpoint)
        progress = json.loads((checkpoint / "progress" / "metadata").read_bytes())
        _, sums = unsealed(progress)
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        reader = ocp.Checkpointer(handler, multiprocessing_options=alone)
        shapes = reader.metadata(checkpoint / "state").item_metadata.tree
        kinds = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
        state = reader.restore(checkpoint / "state", restore_args=kinds)
    except Exception as error:
        raise ValueError(reason(error)) from error
    found = {
        path_name(path): host_checksum(np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    changed = sorted(
        name for name in sums.keys() | found.keys() if sums.get(name) != found.get(name)
    )
    if changed:
        raise ValueError(f"{changed[0]} is not what was saved")


def lay_aside(checkpoint: Path, end: str) -> Path:
    """Renames a checkpoint so that it does not count; returns where it lies."""
    aside, again = checkpoint.with_name(f"{checkpoint.name}.{end}"), 1
    while aside.exists():
        again += 1
        aside = checkpoint.with_name(f"{checkpoint.name}.{end}{again}")
    checkpoint.rename(aside)
    return aside


def lay_metrics_aside(checkpoint: Path) -> None:
    """Takes the metrics out of a checkpoint, whose state stays."""
    metrics = checkpoint.with_name(f"{checkpoint.name}.metrics")
    (checkpoint / "metrics").rename(metrics)
    lay_aside(metrics, BROKEN)


def broken_in(directory: Path) -> list[str]:
    """The names of damaged checkpoints in a folder."""
    names = [entry.name for entry in directory.iterdir()]
    return sorted(name for name in names if re.fullmatch(rf"\d+\.{BROKEN}\d*", name))


def settle(directory: Path) -> None:
    """Takes back checkpoints that were being replaced, or removes them if the new one is whole."""
    for aside in directory.glob(f"*.{REPLACED}"):
        new = aside.with_suffix("")
        if new.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(new)


def reason(error: Exception) -> str:
    """What the system said, out of the long message of the library that writes arrays."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else str(error).strip().splitlines()[0]
