"""A table of texts with what is to be told of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnn_jax.data.csv_rows import csv_rows
from cnn_jax.data.usual_names import SPLIT_COLUMNS
from cnn_jax.errors import UserError, unknown
from cnn_jax.recipe import Columns

_TEXT_NAMES = (
    "text", "sentence", "review", "phrase", "content", "document", "tweet", "comment", "message",
    "question", "utterance", "body", "description", "review_text", "reviewtext", "title",
)  # fmt: skip
_TARGET_NAMES = (
    "label", "labels", "class", "category", "target", "targets", "sentiment", "polarity", "intent",
    "rating", "stars", "score", "topic", "y", "tags",
)  # fmt: skip
_LABELS = 200
"""Where there are no tabs the first words of lines are classes, if there are no more of them, and
five lines of each on average."""


@dataclass(frozen=True)
class TextTable:
    """The rows of a table.

    Attributes:
      file: which it is.
      first: the number of the first row, behind a line of names if there is one.
      titles: of the columns of the cells.
      texts: n of them.
      cells: what is told of each, a row of cells.
      splits: the cell of each that names its part, where there is such a column.
      groups: the cell of each that names its group, where there is such a column.
      notes: what a user should know of how it was read.
    """

    file: Path
    first: int
    titles: list[str]
    texts: list[str]
    cells: list[list[str]]
    splits: list[str] | None
    groups: list[str] | None
    notes: list[str]


def read_text_table(file: Path, content: str, columns: Columns, kind: str) -> TextTable:
    """A table of texts, with a first line that names its columns or without one.

    Columns are found by their names; without names the text is the column with the longest cells,
    and a class the column with the fewest different ones. Between columns stands a tab, and then
    quotes are letters; or a blank after a first word that is the class, where lines begin with few
    words; or a comma, ; or |, as in CSV.

    Args:
      file: for messages.
      content: of the file.
      columns: which columns hold what.
      kind: of the targets, see `cnn_jax.data.fields`.

    Raises:
      UserError: there is no such column, or it cannot be told which is which.
    """
    rows, notes = _rows(file, content), list[str]()
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise UserError(
                f"row {number:,} of {file} has {len(row)} cells, and the first has {width}"
            )
    if width < 2:
        raise UserError(
            f"{file} has one column; a table of texts has a text and what is told of it, such as a "
            "class, with a tab between them"
        )
    if _has_names(rows, columns):
        titles, rows, first = [title.strip() for title in rows[0]], rows[1:], 2
    else:
        titles, first = _by_shape(rows), 1
        notes.append(
            f"{file.name} has no line that names its columns: the text is taken from column "
            f"{titles.index('text') + 1} and the class from column {titles.index('label') + 1}"
        )
    if not rows:
        raise UserError(f"{file} holds no text")
    text, split, group, targets = _places(file, titles, rows, columns, kind)
    used = {text, split, group, *targets}
    unused = [title for place, title in enumerate(titles) if place not in used]
    if unused:
        notes.append(f"left out the columns {', '.join(unused)} of {file.name}")

    def column(place: int | None) -> list[str] | None:
        return None if place is None else [row[place] for row in rows]

    return TextTable(
        file,
        first,
        [titles[place] for place in targets],
        [row[text] for row in rows],
        [[row[place].strip() for place in targets] for row in rows],
        column(split),
        column(group),
        notes,
    )


def texts_of_table(file: Path, content: str, columns: Columns) -> tuple[list[str], str] | None:
    """The texts of a table, whatever else it tells of them, and what their column is called.

    None where the file has a text a line: no first line names a column of texts, and there are no
    tabs.

    Args:
      file: which it is.
      content: of the file.
      columns: as of `read_text_table`.
    """
    rows = _rows(file, content)
    head = [cell.strip() for cell in rows[0]]
    lower = [cell.lower() for cell in head]
    if columns.text is not None and columns.text in head:
        place, rows = head.index(columns.text), rows[1:]
    elif usual := [each for each in _TEXT_NAMES if each in lower]:
        place, rows = lower.index(usual[0]), rows[1:]
    elif len(head) > 1 and "\t" in content and len({len(row) for row in rows}) == 1:
        place = _by_shape(rows).index("text")
        return [row[place] for row in rows], str(place + 1)
    else:
        return None
    return [row[place] for row in rows if len(row) > place], head[place]


def _rows(file: Path, content: str) -> list[list[str]]:
    # `splitlines` would part lines at signs that stand in texts.
    content = content.replace("\r\n", "\n")
    if "\n" not in content:  # as programs for old Macs end lines
        content = content.replace("\r", "\n")
    lines = [line for line in content.split("\n") if line.strip(" ")]
    if not lines:
        raise UserError(f"{file} holds no text")
    if sum("\t" in line for line in lines) > 0.9 * len(lines):
        return [line.split("\t") for line in lines]
    pairs = [list(line.strip().partition(" ")[::2]) for line in lines]
    few = min(_LABELS, len(pairs) // 5)
    if file.suffix.lower() != ".csv" and len({label for label, _ in pairs}) <= few:
        return pairs
    delimiter = max(",;|", key=lines[0].count)
    found = csv_rows(file, content, delimiter)
    even = len({len(row) for row in found}) == 1 and len(found[0]) > 1
    if even or file.suffix.lower() == ".csv":
        return found
    raise UserError(
        f"it cannot be told what stands between the columns of {file}: put a tab between the class "
        "and the text"
    )


def _has_names(rows: list[list[str]], columns: Columns) -> bool:
    """Whether the first row names the columns."""
    first = [cell.strip() for cell in rows[0]]
    asked = [*columns.targets, columns.text, columns.split, columns.group]
    if any(name is not None for name in asked):
        return True
    if {cell.lower() for cell in first} & {*_TEXT_NAMES, *_TARGET_NAMES}:
        return True
    if len(rows) < 3:
        return False
    # Where every class comes again and the first one never does, it is no class.
    place = _by_shape(rows[1:]).index("label")
    counts = Counter(row[place].strip() for row in rows[1:])
    return first[place] not in counts and min(counts.values()) > 1


def _by_shape(rows: Sequence[list[str]]) -> list[str]:
    """What the columns are, by what they hold: text, label, and others that are left out."""
    places = range(len(rows[0]))
    text = max(places, key=lambda place: sum(len(row[place]) for row in rows))
    others = [place for place in places if place != text]
    label = min(others, key=lambda place: len({row[place].strip() for row in rows}))
    names = {text: "text", label: "label"}
    return [names.get(place, f"column {place + 1}") for place in places]


def _places(
    file: Path, titles: list[str], rows: list[list[str]], columns: Columns, kind: str
) -> tuple[int, int | None, int | None, list[int]]:
    """The columns of the text, the part, the group and the targets."""
    lower = [title.lower() for title in titles]

    def place(flag: str, name: str) -> int:
        if name not in titles:
            raise unknown(f"column of {file} in --data.columns.{flag}:", name, titles)
        return titles.index(name)

    def found(flag: str, name: str | None, usual: Sequence[str]) -> int | None:
        if name is not None:
            return place(flag, name)
        return next((lower.index(each) for each in usual if each in lower), None)

    targets = [place("targets", name) for name in columns.targets]
    split = found("split", columns.split, SPLIT_COLUMNS)
    group = found("group", columns.group, ())
    taken = {split, group, *targets}
    text = found("text", columns.text, _TEXT_NAMES)
    if text is None:
        left = [each for each in range(len(titles)) if each not in taken]
        left = [each for each in left if lower[each] not in _TARGET_NAMES]
        if not left:
            raise UserError(f"{file} has no column of texts; name it by --data.columns.text")
        text = max(left, key=lambda each: sum(len(row[each]) for row in rows))
    if targets:
        return text, split, group, targets
    left = [each for each in range(len(titles)) if each not in (text, split, group)]
    usual = [each for each in left if lower[each] in _TARGET_NAMES]
    targets = usual[:1] if kind == "class" and usual else usual or left
    if not targets or (kind == "class" and len(targets) > 1):
        raise UserError(
            f"it cannot be told which column of {file} is the class; name one of "
            f"{', '.join(titles)} by --data.columns.targets"
        )
    return text, split, group, targets
