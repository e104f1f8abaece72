"""Tables as text for documents: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}  # fmt: skip

Rows = Sequence[Sequence[str]]


def markdown(heads: Sequence[str], rows: Rows, numbers: Sequence[bool]) -> str:
    """A table for Markdown.

    Args:
      heads: of the columns.
      rows: a text a column.
      numbers: which columns are put to the right.
    """
    lines = [heads, ["---:" if each else "---" for each in numbers], *rows]
    return "\n".join(
        f"| {' | '.join(cell if i == 1 else cell.replace('|', chr(92) + '|') for cell in line)} |"
        for i, line in enumerate(lines)
    )


def comma_separated(heads: Sequence[str], rows: Rows) -> str:
    """A table as comma-separated values."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([heads, *rows])
    return out.getvalue().rstrip("\n")


def latex(heads: Sequence[str], rows: Rows, numbers: Sequence[bool]) -> str:
    """A table for LaTeX with the package booktabs; arguments as of `markdown`."""

    def line(cells: Sequence[str]) -> str:
        escaped = ("".join(_LATEX.get(sign, sign) for sign in cell) for cell in cells)
        return " & ".join(escaped) + r" \\"

    kinds = "".join("r" if each else "l" for each in numbers)
    body = [line(heads), r"\midrule", *map(line, rows)]
    return "\n".join(
        [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]
    )
