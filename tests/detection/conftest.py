"""What the tests of detectors share: what torchvision makes of the same numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "from_torchvision"
sys.path.insert(0, str(FOLDER))


@pytest.fixture(scope="session")
def torchvision_parts():
    """What its functions make of drawn boxes, see `from_torchvision/make.py`."""
    return np.load(FOLDER / "parts.npz")
