"""What stored predictions come to: metrics, temperatures, averages, without the net."""

from cnn_jax.tasks.predicted.classes import Binaries, Classes
from cnn_jax.tasks.predicted.contract import Predicted
from cnn_jax.tasks.predicted.numbers import Numbers
from cnn_jax.tasks.predicted.tags import Tags

KINDS: dict[str, type[Predicted]] = {
    "class": Classes,
    "binary": Binaries,
    "tags": Tags,
    "numbers": Numbers,
}
"""By the name that a task has as `PREDICTED`, and files of predictions."""

__all__ = ["KINDS", "Binaries", "Classes", "Numbers", "Predicted", "Tags"]
