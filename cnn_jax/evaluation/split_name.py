"""The parts of a data set that can be judged, as a command line names them."""

from typing import Literal

SplitName = Literal["train", "validation", "test", "all"]
