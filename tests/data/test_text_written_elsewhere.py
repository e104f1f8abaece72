"""Texts as other programs write them: what is read, and what is said of the rest."""

import pytest

from cnn_jax import UserError
from cnn_jax.data.text import load_text
from cnn_jax.recipe import Columns, Text

ROWS = [(f"text number {place}", "ab"[place % 2]) for place in range(20)]
TABLE = "".join(f"{text}\t{label}\n" for text, label in ROWS)


def load(path, **text):
    return load_text(path, Text(**text), Columns(), test_part=0)


def refused(path, **text):
    with pytest.raises(UserError) as error:
        load(path, **text)
    return str(error.value)


def test_utf_16_is_refused_by_its_name_and_read_by_it(tmp_path):
    marked, bare = tmp_path / "marked.tsv", tmp_path / "bare.tsv"
    marked.write_bytes(TABLE.encode("utf-16"))
    bare.write_bytes(TABLE.encode("utf-16-le"))
    assert refused(marked) == (
        f"{marked} is not written in utf-8: byte 0, in line 1, is 0xff. Say how it is written by "
        "--data.text.encoding, such as utf-16"
    )
    assert refused(bare) == (
        f"{bare} holds bytes of 0 in line 1, which no text in utf-8 has. Remove them, or say how "
        "it is written by --data.text.encoding, as utf-16-le or another"
    )
    for file, encoding in ((marked, "utf-16"), (marked, "utf-16-le"), (bare, "utf-16-le")):
        found = load(file, encoding=encoding)
        assert len(found.train) == 20 and "\ufefftext" not in found.words
    (tmp_path / "damaged.tsv").write_text(TABLE.replace("number 7", "num\0ber 7"))
    assert "damaged.tsv holds bytes of 0 in line 8" in refused(tmp_path / "damaged.tsv")


def test_lines_may_end_as_on_old_macs(tmp_path):
    (tmp_path / "a.tsv").write_bytes(TABLE.replace("\n", "\r").encode())
    assert len(load(tmp_path / "a.tsv").train) == 20


def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path):
    rows = [f'{label},"{text}, or so"\n' for text, label in ROWS]
    file = tmp_path / "a.csv"
    file.write_text("label,text\n" + "".join(rows[:5]) + 'a,"never closed\n' + "b,c\n" * 5)
    assert refused(file) == (
        f"{file} cannot be read as a table: a quote in the row that begins in line 7 is never "
        'closed; write "" for a quote within quotes'
    )
    file.write_text("label,text\n" + 'a,"two\nlines"\nb,"a ""word"""\n' * 2 + 'a,"x"')
    assert len(load(file).train) == 5


def test_whatever_is_left_out_of_a_folder_is_said(tmp_path):
    for label in "ab":
        (tmp_path / label / "more").mkdir(parents=True)
        (tmp_path / label / "1.txt").write_text(f"text of {label}")
        (tmp_path / label / "more" / "2.TXT").write_text(f"another of {label}")
        (tmp_path / label / "3.md").write_text("no text")
    (tmp_path / "loose.txt").write_text("of no class")
    found = load(tmp_path)
    assert len(found.train) == 4
    assert "left out loose.txt, a/3.md, b/3.md" in found.notes
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "train.tsv").write_text(TABLE)
    (parts / "more.tsv").write_text(TABLE)
    assert "left out more.tsv" in load(parts).notes
