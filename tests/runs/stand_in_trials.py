"""Stands in for the processes of trials, so that tests need not wait for JAX.

As `sitecustomize` it is run at the start of every Python; one that is to carry out a trial does
what STAND_IN says of it, by the name of its folder, and ends:

    finish   leaves an outcome (the default)
    die      is killed
    refuse   ends with an error, as of a user, once the other trials are there
    late     ends so after its run has begun
    wait     waits until it is told to stop, and ends as if it had saved
    stay     waits, whatever it is told
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def carry_out(folder: Path) -> None:
    """Does what is to be done instead of a trial."""
    what = json.loads(os.environ.get("STAND_IN", "{}")).get(folder.name, "finish")
    seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "XLA_FLAGS")}
    seen |= {"began": time.monotonic(), "process": os.getpid()}
    if what in ("wait", "stay"):
        signal.signal(signal.SIGTERM, lambda *_: _saved(folder) if what == "wait" else None)
    (folder / "seen.json").write_text(json.dumps(seen))
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("refuse", "late"):
        others = [each for each in folder.parent.iterdir() if each.is_dir()]
        while not all((each / "seen.json").exists() for each in others):
            time.sleep(0.01)
        if what == "late":
            run = folder.parent.parent / folder.name
            run.mkdir()
            (run / "data.json").touch()
        print("error: nothing of the kind\nsecond line", file=sys.stderr, flush=True)
        os._exit(2)
    while what in ("wait", "stay"):
        time.sleep(0.01)
    (folder / "busy").touch(exist_ok=False)  # fails where two are at one trial
    time.sleep(0.1)
    values = json.loads((folder / "trial.json").read_text())["values"]
    outcome = {"folder": folder.name, "values": values, "state": "finished", "n": 1, "mean": 0.5}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    (folder / "seen.json").write_text(json.dumps({**seen, "ended": time.monotonic()}))
    (folder / "busy").unlink()
    os._exit(0)


def _saved(folder: Path) -> None:
    (folder / "saved").touch()
    os._exit(75)


if __name__ == "sitecustomize":
    words = sys.orig_argv
    if words[1:4] == ["-m", "cnn_jax", "sweep-trial"]:
        carry_out(Path(words[4]))
