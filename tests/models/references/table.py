"""Prints the table of models in docs/models.md: costs, counts and errors as they are now.

    python tests/models/references/table.py > table.md

The error is the largest of the logits and of the stages that `test_parity.py` compares, in terms
of the largest value.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from published_counts import COUNTS, source
from test_parity import FOLDER, NAMES, errors, imported, state_dict

from cnn_jax import models

print("| model | input | parameters | multiply-adds | parameters as in | error |")
print("|---|---|---:|---:|---|---:|")
for name in models.names("image"):
    cost, (height, width, channels) = models.count(name), models.entry(name).input_shape
    assert cost["parameters"] == COUNTS[name]
    error = ""
    if name in NAMES:
        reference = np.load(FOLDER / f"{name}.npz")
        module, variables, _ = imported(name, state_dict(reference))
        error = f"{max(errors(name, module, variables, reference).values()):.0e}"
    print(
        f"| `{name}` | {height}×{width}×{channels} | {cost['parameters']:,} | "
        f"{cost['multiply_adds'] / 1e6:,.1f} M | {source(name)} | {error} |",
        flush=True,
    )
