"""The run folders below a folder, and what a listing shows of each."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def find_runs(folder: Path) -> list[Path]:
    """The run folders in and below a folder, behind symbolic links as well, each once.

    One that is reached over several paths has that without a link, or the first by name.
    """
    seen: set[tuple[int, int]] = set()
    found = []
    links = [folder]
    while links:
        for top, folders, files in os.walk(links.pop(0)):
            there = Path(top)
            status = there.stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()  # a link to where we have been
                continue
            seen.add((status.st_dev, status.st_ino))
            links += sorted(there / name for name in folders if (there / name).is_symlink())
            if "recipe.json" in files:
                found.append(there)
                # Thousands of files of checkpoints, and no run among them.
                folders[:] = [
                    name for name in folders if name not in ("checkpoints", "tensorboard")
                ]
    return sorted(found)


def describe_run(path: Path) -> dict[str, Any]:
    """What a listing shows of a run folder."""
    from cnn_jax.json_values import flat, read_json
    from cnn_jax.run_folder import RunFolder

    folder = RunFolder(path)
    recipe = read_json(path / "recipe.json")
    row: dict[str, Any] = {
        "run": str(path),
        "model": recipe["model"]["name"],
        "data": recipe["data"]["name"],
        "seed": recipe["seed"],
        "started": _started(path),
        "recipe": flat(recipe),
    }
    summary = folder.summary()
    if summary is None:
        return {**row, "state": "unfinished", "step": max(folder.steps(), default=0)}
    test = summary["test"]
    # Summaries of earlier versions name no metric: they are of classifications.
    metric = summary.get("metric", "accuracy")
    return {
        **row,
        "state": "finished",
        "step": summary["steps"],
        "metric": metric,
        "validation": summary["best"][metric] if summary["best"] else None,
        "test": test[metric] if test else None,
        "parameters": summary["parameters"],
        "seconds": summary["seconds"]["total"],
    }


def _started(path: Path) -> str | None:
    """When a run was last started."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        return str(json.loads((path / "starts.jsonl").read_text().splitlines()[-1])["time"])
    return None
