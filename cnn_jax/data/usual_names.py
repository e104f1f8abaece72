"""What parts of a set and columns of a table are usually called."""

from __future__ import annotations

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""The part that a word stands for."""

SPLIT_COLUMNS = ("split", "part", "subset", "partition")
"""Columns that name the part of a row."""
