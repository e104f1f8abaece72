"""A run in a process of its own, which can do itself harm at a chosen moment.

    python child.py RECIPE_JSON MOMENT ARGUMENTS...

MOMENT is `none`, or `PHASE:COUNT:SIGNAL:DELAY`: when the phase is entered for the COUNTth time, a
signal of that number comes DELAY seconds later, and others after it where there are more:
`SIGNAL+SIGNAL`. Phases: compile, step, evaluation, save. `clock` lets the wall clock run backwards.
"""

import json
import os
import sys
import threading
import time

from cnn_jax import Recipe, main
from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.json_values import from_json
from cnn_jax.training.evaluator import Evaluator
from cnn_jax.training.program import Program

PHASES = {
    "compile": (Program, "compile_train"),
    "step": (Program, "train_step"),
    "evaluation": (Evaluator, "__call__"),
    "save": (Checkpoints, "save"),
}


def arrange(moment):
    if moment == "none":
        return
    if moment == "clock":
        began, real = time.time(), time.time
        time.time = lambda: began - 3600 * (real() - began)
        return
    phase, count, number, delay = moment.split(":")
    owner, name = PHASES[phase]
    method, calls = getattr(owner, name), [0]

    def signal_later():
        time.sleep(float(delay))
        print(f"signal {number} in {phase} at {time.time()}", flush=True)
        for one in number.split("+"):
            os.kill(os.getpid(), int(one))
            time.sleep(0.1)  # two that come together are one

    def counted(self, *arguments, **options):
        calls[0] += 1
        if calls[0] == int(count):
            thread = threading.Thread(target=signal_later, daemon=True)
            thread.start()
            if float(delay) == 0:
                thread.join()
        return method(self, *arguments, **options)

    setattr(owner, name, counted)


if __name__ == "__main__":
    arrange(sys.argv[2])
    main(from_json(json.loads(sys.argv[1]), Recipe, "arguments"), sys.argv[3:])
