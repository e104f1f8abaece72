"""Writes what every model costs to the file that `cnn-jax models '*'` reads; takes two minutes.

python tests/models/references/costs.py
"""

import json
from pathlib import Path

from cnn_jax import models
from cnn_jax.models.cost import traced_count

FILE = Path(models.__file__).parent / "costs.json"

if __name__ == "__main__":
    costs = {name: traced_count(name) for name in models.names()}
    lines = [f"  {json.dumps(name)}: {json.dumps(cost)}" for name, cost in costs.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
