"""Makes the notebook docs/python.ipynb of the page docs/python.md: `make notebook`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("python.md")
NOTEBOOK = PAGE.with_suffix(".ipynb")


def blocks(page: str) -> list[tuple[str, str]]:
    """The parts of a page in order: (`markdown` or `code`, text)."""
    parts = re.split(r"^```python\n(.*?)^```\n", page, flags=re.DOTALL | re.MULTILINE)
    kinds = ("markdown", "code")
    found = [(kinds[place % 2], part.strip()) for place, part in enumerate(parts)]
    return [(kind, text) for kind, text in found if text]


def notebook(page: str) -> str:
    """The notebook of a page, as it stands in a file; its cells have not been run."""
    cells: list[dict[str, Any]] = []
    for kind, text in blocks(page):
        cell = {
            "cell_type": kind,
            "id": f"cell-{len(cells)}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(PAGE.read_text()))
