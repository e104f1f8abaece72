"""One's own texts: the files they are found in, their words, and the parts they come to."""

import dataclasses

import numpy as np
import pytest

from cnn_jax import Data, UserError
from cnn_jax.data import describe
from cnn_jax.data.catalog import load
from cnn_jax.data.places import fetch
from cnn_jax.data.recipe_data import data_spec, load_data, read_data
from cnn_jax.data.text import load_text
from cnn_jax.data.vocabulary import UNKNOWN, Vocabulary, encoded, words_of
from cnn_jax.recipe import Columns, Text

GOOD, BAD = "a fine film , it's great", "a dull film , isn't it"


def lines(count=20, start=0):
    """Texts that differ, in turn of two classes, as a table without names."""
    return "".join(
        f"{'neg' if place % 2 else 'pos'}\t{BAD if place % 2 else GOOD} {place}\n"
        for place in range(start, start + count)
    )


def written(found, part="train", count=None):
    """The texts of a part in words again."""
    names = ("", "<unknown>", *found.words)
    rows = getattr(found, part).inputs[:count]
    return [" ".join(names[each] for each in row).strip() for row in rows]


def read(path, columns=Columns(), kind="class", **text):  # noqa: B008
    return load_text(path, Text(**text), columns, kind=kind)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's n't-so (bad), they've!", "it 's n't so ( bad ) , they 've !"),
        ("Isn't she'll we'd you're?", "is n't she 'll we 'd you 're ?"),
        ('A "quoted" <b>word</b>; 3.5 * `x`', "a quoted b word b 3 5 `x`"),
        ("Ein schöner Straßen_film", "ein schöner straßen film"),
        ("  \t ", ""),
    ],
)
def test_words_as_in_the_paper(text, words):
    assert words_of(text, Text()) == words.split()


def test_words_between_blanks_and_in_their_own_case():
    assert words_of("It's  So-so.", Text(cleaning="blanks", lower_case=False)) == ["It's", "So-so."]


def test_unknown_words_and_ends_have_places_of_their_own():
    tokens = encoded([["b", "x"], [], ["a", "b", "a", "b"]], Vocabulary(("a", "b"), 3))
    assert tokens.dtype == np.int32
    np.testing.assert_array_equal(tokens, [[3, UNKNOWN, 0], [0, 0, 0], [2, 3, 2]])


def table(tmp_path, name, content, encoding="utf-8"):
    (tmp_path / name).write_bytes(content.encode(encoding))
    return tmp_path / name


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("a.tsv", "label\ttext\n", "{label}\t{text}\n"),
        ("a.tsv", "", "{label}\t{text}\n"),
        ("a.txt", "", "{text}\t{label}\n"),
        ("a.tsv", "mood\twords\n", "{label}\t{text}\n"),
        ("a.csv", "id,Sentence,Sentiment\n", '{place},"{text}",{label}\n'),
        ("a.csv", "", '{label},"{text}"\n'),
        ("a.csv", "text;class\r\n", "{text};{label}\r\n"),
        ("a.label", "", "{label} {text}\n"),
    ],
)
def test_columns_are_found_by_name_or_shape(tmp_path, name, head, row):
    body = "".join(
        row.format(label="neg" if place % 2 else "pos", text=text, place=place)
        for place in range(20)
        for text in [f"{BAD if place % 2 else GOOD} {place}"]
    )
    found = read(table(tmp_path, name, head + body))
    assert found.class_names == ("neg", "pos")
    assert (len(found.train), len(found.test)) == (18, 2)
    everything = written(found) + written(found, "test")
    assert sorted(everything)[0] == "a dull film , is n't it 1"
    labels = [*found.train.labels, *found.test.labels]
    assert all(
        ("fine" in text) == bool(label) for text, label in zip(everything, labels, strict=True)
    )
    # What was guessed is said.
    assert any("no line that names" in note for note in found.notes) == (not head)
    assert any("left out the columns id" in note for note in found.notes) == ("id" in head)


def test_quotes_between_tabs_are_letters(tmp_path):
    found = read(table(tmp_path, "a.tsv", 'label\ttext\n0\t"never closed\n1\tb\n0\tc\n1\td\n' * 3),
                 Columns(targets=("label",)), cleaning="blanks")  # fmt: skip
    assert '"never' in found.words


def test_columns_that_are_named(tmp_path):
    file = table(tmp_path, "a.csv", "who,title,said,mood,part\n" + "".join(
        f"{place // 2},t,{GOOD.replace(',', '')} {place},{place % 3},{part}\n"
        for place, part in enumerate(["train"] * 8 + ["dev"] * 2 + ["test"] * 2)
    ))  # fmt: skip
    columns = Columns(text="said", targets=("mood",), group="who")
    found = read(file, columns)
    assert found.class_names == ("0", "1", "2")
    assert [len(part) for part in (found.train, found.validation, found.test)] == [8, 2, 2]
    np.testing.assert_array_equal(found.train.groups, np.arange(8) // 2)
    numbers = read(file, columns, kind="number")
    np.testing.assert_array_equal(numbers.train.targets[:4, 0], [0, 1, 2, 0])
    with pytest.raises(UserError, match=r"unknown column .*'mod'; did you mean 'mood'"):
        read(file, Columns(text="said", targets=("mod",)))
    with pytest.raises(UserError, match=r"name one of who, title, said, mood, part"):
        read(file)


def test_folders_and_files_by_class(tmp_path):
    for part, count in (("train", 6), ("test", 4)):
        for label in ("pos", "neg"):
            (tmp_path / "docs" / part / label).mkdir(parents=True)
            for place in range(count):
                text = f"{label} document\nof two lines {place}"
                (tmp_path / "docs" / part / label / f"{place}.txt").write_text(text)
    (tmp_path / "docs" / "train" / "unsup").mkdir()
    (tmp_path / "docs" / "README").write_text("no data")
    found = read(tmp_path / "docs")
    assert found.class_names == ("neg", "pos")
    assert (len(found.train), found.validation, len(found.test)) == (12, None, 8)
    assert written(found, count=1) == ["neg document of two lines 0"]
    assert any("README" in note for note in found.notes)
    assert any("unsup" in note for note in found.notes)
    (tmp_path / "links").mkdir()
    for label in ("pos", "neg"):
        (tmp_path / "links" / label).mkdir()
        (tmp_path / "links" / label / "more").symlink_to(tmp_path / "docs" / "train" / label)
    assert len(load_text(tmp_path / "links", Text(), Columns(), test_part=0).train) == 12

    polarity = tmp_path / "polarity"
    polarity.mkdir()
    for name in ("rt-polarity.pos", "rt-polarity.neg"):
        text = "".join(f"{name[-3:]} line {place}\n" for place in range(10))
        (polarity / name).write_text(text + "\n", encoding="latin-1")
    found = read(polarity)
    assert found.class_names == ("neg", "pos") and len(found.train) + len(found.test) == 20
    assert set(found.train.labels) == {0, 1}


def test_tables_of_each_part(tmp_path):
    table(tmp_path, "my_train.tsv", lines(12))
    table(tmp_path, "my_dev.tsv", lines(4, 12))
    table(tmp_path, "my_test.tsv", lines(6, 16))
    found = load_data(Data(f"text:{tmp_path}"))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [12, 4, 6]
    assert written(found, "test", 1) == ["a fine film , it 's great <unknown>"]
    assert fetch(f"text:{tmp_path}").already_there


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    file = table(tmp_path, "a.tsv", "label\ttext\n" + lines(10) + "pos\tcafé\n", encoding)
    if encoding.startswith("utf"):
        assert "café" in read(file).words
        return
    with pytest.raises(UserError) as error:
        read(file)
    place = file.read_bytes().index(b"\xe9")
    for said in (str(file), f"byte {place}, in line 12, is 0xe9", "--data.text.encoding", "cp1252"):
        assert said in str(error.value)
    assert "café" in read(file, encoding=encoding).words
    with pytest.raises(UserError, match=r"--data\.text\.encoding 'utf-88' is no encoding"):
        read(file, encoding="utf-88")


def test_empty_and_long_texts_are_kept_and_counted(tmp_path):
    file = table(tmp_path, "a.tsv", lines(16) + "pos\t\nneg\t...\npos\t" + "so " * 50 + "\n")
    found = read(file, longest=10)
    assert len(found.train) + len(found.test) == 19
    assert found.train.image_shape == (10,)
    assert any(note.startswith("2 texts have no words") for note in found.notes)
    assert any(note.startswith("1 of 19 texts are cut after 10 words") for note in found.notes)


def test_a_text_that_is_repeated_stays_in_one_part(tmp_path):
    # With both labels, and written in other ways.
    file = table(tmp_path, "a.tsv", "label\ttext\n" + "".join(
        f"{place % 2}\t{'The Film' if place % 4 else 'the  film'} {place % 37}\n"
        for place in range(300)
    ))  # fmt: skip
    found = load_data(Data(f"text:{file}", validation=0.2))
    parts = [set(written(found, part)) for part in ("train", "validation", "test")]
    groups = [set(getattr(found, part).groups) for part in ("train", "validation", "test")]
    assert sum(map(len, groups)) == 37
    assert all(min(map(len, each)) > 0 for each in (parts, groups))
    assert any("263 texts are repeats of the other 37" in note for note in found.notes)


def test_the_vocabulary_is_of_the_training_part_alone(tmp_path):
    file = table(tmp_path, "a.tsv", lines(60))
    found = load_data(Data(f"text:{file}"))
    spec = data_spec(found)
    texts = " ".join(written(found)).split()
    # The most frequent first, and by the alphabet where equal.
    assert set(spec.words) == set(texts)
    counts = [texts.count(word) for word in spec.words]
    assert counts == sorted(counts, reverse=True)
    assert spec.input_kind == "tokens" and spec.image_shape == found.train.image_shape
    for part in ("validation", "test"):
        for text in written(found, part):
            assert text.endswith("<unknown>")  # the number, which no other text has
    assert any("test: 12.5% of the words are not in it" in note for note in found.notes)
    # Read for a model, the same texts are the same tokens.
    again = read_data(Data(f"text:{file}"), vocabulary=spec.vocabulary)
    np.testing.assert_array_equal(again.test.inputs, found.test.inputs)
    assert "<unknown>" in " ".join(written(again))
    assert data_spec(found).changes(spec) == []
    fewer = dataclasses.replace(spec, words=spec.words[1:])
    (change,) = fewer.changes(spec)
    assert change.startswith("words: ") and len(change) < 120


def test_evaluation_texts_longer_than_all_training_texts_are_cut_aloud(tmp_path):
    table(tmp_path, "train.tsv", lines(8))
    table(tmp_path, "test.tsv", lines(4) + "pos\t" + "great " * 30 + "\n")
    found = load_data(Data(f"text:{tmp_path}", validation=2))
    assert found.test.image_shape == found.train.image_shape == (8,)
    assert any("1 longer texts are cut" in note for note in found.notes)


def test_facts_of_texts(tmp_path):
    file = table(tmp_path, "a.tsv", lines(20))
    facts = describe(read(file))
    assert facts["vocabulary"] == 10 + 20 and facts["lengths"]["train"] == [8, 8]
    assert facts["class_counts"] == {"train": [9, 9], "test": [1, 1]}


@pytest.mark.parametrize(
    ("files", "path", "fields", "said"),
    [
        ({}, "none.tsv", {}, "there is no such file or folder"),
        ({"a.jsonl": '{"text": "x", "label": 1}'}, "a.jsonl", {}, "jsonl is not read: texts are"),
        ({"a.tsv": ""}, "a.tsv", {}, "holds no text"),
        ({"a.tsv": "1\tx\n0\ty\tz\n"}, "a.tsv", {}, "row 2 of .* has 3 cells"),
        ({"a.csv": "text\nx\ny\n"}, "a.csv", {}, "has one column"),
        ({"a.tsv": "text\tlabel\n"}, "a.tsv", {}, "holds no text"),
        ({"a.tsv": "label\ttext\n1\t.\n0\t;\n"}, "a.tsv", {}, "holds no words, only 2 empty"),
        ({"a.tsv": "label\ttext\n1\tx\n1\ty\n"}, "a.tsv", {}, "has one class only"),
        ({"a.tsv": "label\ttext\tsplit\n1\tx\ttest\n\ty\ttrain\n"}, "a.tsv", {},
         "row 3 of .*a.tsv has no label"),
        ({"train.tsv": lines(9), "test.tsv": "pos\tx y\n\tz y\n"}, ".", {},
         "row 2 of .*test.tsv has no label"),
        ({"a.txt": "the cat\na dog\nmy cow\n"}, "a.txt", {}, "put a tab"),
        ({"a.tsv": "x", "b.tsv": "y"}, ".", {}, "holds a.tsv, b.tsv; it must hold one table"),
        ({"train_a.tsv": "x", "train_b.tsv": "y"}, ".", {}, "several for the train part"),
        ({"pos": "x\ny", "neg": "z\n"}, ".", {"columns": Columns(text="a")}, "is of tables"),
        ({"a.tsv": lines(4)}, "a.tsv", {"text": Text(longest=0)}, "longest 0 must be at least 1"),
        ({"a.tsv": lines(4)}, "a.tsv", {"image_size": 8}, "--data.image-size is for images"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_texts(tmp_path, files, path, fields, said):
    for name, content in files.items():
        table(tmp_path, name, content)
    with pytest.raises(UserError, match=said):
        load(f"text:{tmp_path / path}", **fields)
    if "text" in fields:
        with pytest.raises(UserError, match=r"--data\.text is for text:PATH"):
            load("digits", **fields)
