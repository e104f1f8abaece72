"""Files that hold texts, and which part and class each is of: what `text:PATH` finds."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnn_jax.data.files_below import below
from cnn_jax.data.image_folders import visible
from cnn_jax.data.text_table import TextTable, read_text_table
from cnn_jax.data.usual_names import PARTS
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns
from cnn_jax.user_path import user_path

TABLES = (".tsv", ".csv", ".tab")
"""What tables of texts are called; another file may be one as well."""

_NO_TEXTS = (
    *(".json", ".jsonl", ".ndjson", ".parquet", ".feather", ".arrow", ".npz", ".pkl"),
    *(".xls", ".xlsx", ".ods", ".doc", ".docx", ".pdf", ".zip", ".gz", ".bz2", ".xz", ".tar"),
)
"""What holds texts in another form."""

_UNLABELLED = {"unsup", "unlabeled", "unlabelled"}
_NO_DATA = re.compile(r"(readme|licen[cs]e|citation|changelog)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class FoundTexts:
    """Texts with what is told of each.

    Attributes:
      titles: of the columns of the cells.
      texts: of each part.
      cells: of each part, a row of cells a text.
      groups: of each part, what each text belongs to; None where there is no such column.
      source: where they lie.
      notes: what a user should know of how they were found.
      rows: of each part, the file and the number of the row of each text; of tables only.
    """

    titles: list[str]
    texts: dict[str, list[str]]
    cells: dict[str, list[list[str]]]
    groups: dict[str, list[str]] | None
    source: Path
    notes: list[str] = field(default_factory=list)
    rows: dict[str, list[tuple[Path, int]]] = field(default_factory=dict)

    def where(self, place: int) -> str:
        """Where a text stands, by its place among all, in words."""
        file, row = [row for each in self.rows.values() for row in each][place]
        return f"row {row:,} of {file}"


def find_texts(
    path: str | Path, encoding: str, columns: Columns, kind: str, *, judged: bool = False
) -> FoundTexts:
    """The texts of a table, or of a folder.

    A folder holds tables called train, test and perhaps validation; or folders so called, or
    none; with a folder of documents a class; or with a file a class, a line an example; or one
    table.

    Args:
      path: of the table or the folder.
      encoding: of every file.
      columns: which columns of a table hold what.
      kind: of the targets, see `cnn_jax.data.fields`.
      judged: nothing is learnt, so that there may be no training part, and one class only.

    Raises:
      UserError: there is nothing, or something that cannot be read.
    """
    place = user_path(path)
    if place.is_file():
        return _of_tables(place, {"": [place]}, encoding, columns, kind, [], judged)
    if not place.is_dir():
        raise UserError(f"text:{path}: there is no such file or folder")
    notes: list[str] = []
    folders, files = _inside(place, notes)
    if parts := _by_part(place, files, judged):
        notes += _left_out(_others([*folders, *files], parts))
        return _of_tables(place, parts, encoding, columns, kind, notes, judged)
    if parts := _by_part(place, folders, judged):
        notes += _left_out(_others([*folders, *files], parts))
        named = {part: _class_files(each[0], notes, judged) for part, each in parts.items()}
        return _of_classes(place, named, encoding, columns, kind, notes)
    tables = [file for file in files if file.suffix.lower() in TABLES]
    if len(tables) == 1 and not folders:
        notes += _left_out([file for file in files if file not in tables])
        return _of_tables(place, {"": tables}, encoding, columns, kind, notes, judged)
    classes = {"train": _class_files(place, notes, judged)}
    return _of_classes(place, classes, encoding, columns, kind, notes)


def read_text(file: Path, encoding: str) -> str:
    """What is written in a file.

    Raises:
      UserError: it cannot be read, or not in that encoding, or its name says that it is no text.
    """
    if file.suffix.lower() in _NO_TEXTS:
        raise UserError(
            f"{file} is not read: texts are those of .tsv and .csv tables, a row a text, or plain "
            "files; write them as one of these"
        )
    try:
        codec = codecs.lookup(encoding)
        # A mark that begins a file of Windows is no letter.
        name = "utf-8-sig" if codec.name == "utf-8" else codec.name
        content = file.read_bytes()
        text = content.decode(name).removeprefix("\ufeff")
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = 1 + error.object[: error.start].count(b"\n")
            raise UserError(
                f"{file} is not written in {encoding}: byte {error.start:,}, in line {line:,}, is "
                f"0x{error.object[error.start]:02x}. Say how it is written by "
                f"--data.text.encoding, such as {_other_encodings(error.object, encoding)}"
            ) from None
        raise UserError(
            f"--data.text.encoding {encoding!r} is no encoding of text; valid are utf-8, latin-1, "
            "cp1252 and others that Python knows"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    if "\0" in text:
        line = 1 + text[: text.index("\0")].count("\n")
        raise UserError(
            f"{file} holds bytes of 0 in line {line:,}, which no text in {encoding} has. Remove "
            "them, or say how it is written by --data.text.encoding, as utf-16-le or another"
        )
    return text


def _other_encodings(content: bytes, encoding: str) -> str:
    """In which a file that is not written in one may be written, in words."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return " or ".join(each for each in ("utf-8", "cp1252", "latin-1") if each != encoding)


def _inside(folder: Path, notes: list[str]) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, without what holds no data."""
    there = visible(folder)
    files = [each for each in there if each.is_file()]
    odd = [file for file in files if _NO_DATA.fullmatch(file.name)]
    notes += _left_out(odd)
    folders = [each for each in there if each.is_dir() and not each.name.startswith("__")]
    return folders, [file for file in files if file not in odd]


def _left_out(files: Sequence[Path], top: Path | None = None) -> list[str]:
    """The note of what holds no data, if there is any; `top` is what it is named from."""
    told = [file.name if top is None else str(file.relative_to(top)) for file in files[:5]]
    names = ", ".join(told) + f" and {len(files) - 5:,} more" * (len(files) > 5)
    return [f"left out {names}"] if files else []


def _others(there: Sequence[Path], parts: dict[str, list[Path]]) -> list[Path]:
    """What is of no part."""
    used = {each for places in parts.values() for each in places}
    return [each for each in there if each not in used]


def _by_part(folder: Path, places: Sequence[Path], judged: bool) -> dict[str, list[Path]]:
    """Files or folders by the part that their names tell; empty where none is of the train part,
    unless nothing is learnt.
    """
    found: dict[str, list[Path]] = {}
    for place in places:
        words = re.split(r"[^a-z]+", place.name.lower())
        for part in {PARTS[word] for word in words if word in PARTS}:
            found.setdefault(part, []).append(place)
    if "train" not in found and not judged:
        return {}
    for part, each in found.items():
        if len(each) > 1:
            raise UserError(
                f"{folder} has several for the {part} part: {', '.join(one.name for one in each)}; "
                "give a folder with one of each part"
            )
    return found


def _of_tables(
    source: Path,
    files: dict[str, list[Path]],
    encoding: str,
    columns: Columns,
    kind: str,
    notes: list[str],
    judged: bool,
) -> FoundTexts:
    """The texts of one table whose rows say their parts, or of one table a part."""
    tables: dict[str, TextTable] = {}
    for part, (file,) in files.items():
        table = read_text_table(file, read_text(file, encoding), columns, kind)
        notes += table.notes
        if tables and table.titles != (titles := next(iter(tables.values())).titles):
            raise UserError(
                f"{file} tells {', '.join(table.titles) or 'nothing'} of its texts, and the other "
                f"files of {source} tell {', '.join(titles)}; leave it out or correct it"
            )
        tables[part] = table
    texts: dict[str, list[str]] = {}
    cells: dict[str, list[list[str]]] = {}
    groups: dict[str, list[str]] = {}
    rows: dict[str, list[tuple[Path, int]]] = {}
    for part, table in tables.items():
        for place, text in enumerate(table.texts):
            own = part or _part(table, place)
            texts.setdefault(own, []).append(text)
            cells.setdefault(own, []).append(table.cells[place])
            rows.setdefault(own, []).append((table.file, table.first + place))
            if table.groups is not None:
                groups.setdefault(own, []).append(table.groups[place])
    if "train" not in texts and not judged:
        raise UserError(f"{source} holds no row of the train part")
    first = next(iter(tables.values()))
    return FoundTexts(
        first.titles,
        texts,
        cells,
        groups if first.groups is not None else None,
        source,
        notes,
        rows,
    )


def _part(table: TextTable, place: int) -> str:
    if table.splits is None:
        return "train"
    word = table.splits[place].strip().lower()
    if word not in PARTS:
        raise UserError(
            f"row {table.first + place} of {table.file} is of the part {table.splits[place]!r}; "
            f"valid are {', '.join(PARTS)}. If the column says something else, name another by "
            "--data.columns.split"
        )
    return PARTS[word]


def _class_files(folder: Path, notes: list[str], judged: bool) -> dict[str, list[Path]]:
    """The files of each class: those of a folder that is called so, or one of its own."""
    folders, files = _inside(folder, notes)
    without = [each.name for each in folders if each.name.lower() in _UNLABELLED]
    notes += [f"left out the folder {name}, which tells no class" for name in without]
    found, others = dict[str, list[Path]](), list[Path]()
    for each in folders:
        if each.name not in without:
            inside = [file for file in below(each) if not file.is_dir()]
            found[each.name] = [file for file in inside if file.suffix.lower() == ".txt"]
            if found[each.name]:
                others += [file for file in inside if file not in found[each.name]]
    empty = [name for name, each in found.items() if not each]
    found = {name: each for name, each in found.items() if each}
    if len(found) > 1 or (found and judged):
        notes += [f"left out the folder {name}, which has no .txt files" for name in empty]
        notes += _left_out([*files, *others], folder)
        return found
    if len(files) > 1 and not any(file.suffix.lower() in TABLES for file in files):
        notes += _left_out(folders)
        return dict(zip(_names(files), [[file] for file in files], strict=True))
    held = ", ".join(each.name for each in [*folders, *files][:9]) or "nothing"
    raise UserError(
        f"{folder} holds {held}; it must hold one table (.tsv or .csv), tables called train and "
        "test, a folder of .txt files for each class, or a file for each class with a text a line"
    )


def _names(files: Sequence[Path]) -> list[str]:
    """The classes that files are called by: what their names do not share."""
    words = [file.name.split(".") for file in files]
    shared = set.intersection(*map(set, words))
    return [".".join(word for word in each if word not in shared) for each in words]


def _of_classes(
    source: Path,
    parts: dict[str, dict[str, list[Path]]],
    encoding: str,
    columns: Columns,
    kind: str,
    notes: list[str],
) -> FoundTexts:
    given = [name for name in ("targets", "text", "split", "group") if getattr(columns, name)]
    if given:
        raise UserError(
            f"--data.columns.{given[0]} is of tables, and {source} holds a file or a folder for "
            "each class; leave it out"
        )
    if kind != "class":
        raise UserError(
            f"{source} holds a file or a folder for each class, and the task learns {kind}; a "
            "table can have these"
        )
    texts: dict[str, list[str]] = {part: [] for part in parts}
    cells: dict[str, list[list[str]]] = {part: [] for part in parts}
    for part, classes in parts.items():
        alone = Counter(len(files) for files in classes.values()) == {1: len(classes)}
        for name, files in classes.items():
            for file in files:
                text = read_text(file, encoding)
                # A file for the whole class has a text a line; the last line has an end too.
                found = text.rstrip("\r\n").split("\n") if alone else [text]
                texts[part] += found
                cells[part] += [[name]] * len(found)
    return FoundTexts(["class"], texts, cells, None, source, notes)
