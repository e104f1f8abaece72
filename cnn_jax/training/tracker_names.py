"""The trackers that a command line can name."""

from typing import Literal

Tracker = Literal["wandb", "mlflow"]
