"""Files of word vectors: their forms, their faults, and what a run begins with."""

import dataclasses
import gzip
import io
import re

import numpy as np
import pytest
from rich.console import Console

from cnn_jax import Data, Init, Model, Optimizer, Recipe, UserError, steps, train
from cnn_jax.data.vocabulary import FIRST
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.pretrained.word_vectors import read_word_vectors
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment

PLACES = {"good": 2, "film": 3, "unheard": 4, ". .": 5}
VECTORS = {"good": [0.5, -1, 2], "other": [9, 9, 9], "film": [1e-3, 4, -0.25], ". .": [1, 2, 3]}
TEXT = "".join(f"{word} {' '.join(map(str, each))}\n" for word, each in VECTORS.items())


def binary(end=b"\n"):
    rows = [
        word.encode() + b" " + np.array(each, "<f4").tobytes() + end
        for word, each in VECTORS.items()
        if " " not in word
    ]
    return f"{len(rows)} 3\n".encode() + b"".join(rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glove.txt", TEXT.encode()),
        ("word2vec.vec", f"4 3\n{TEXT}good 7 7 7\n".encode()),
        ("glove.txt.gz", gzip.compress(TEXT.encode())),
        ("google.bin", binary()),
        ("other.bin", binary(b"")),
        ("google.bin.gz", gzip.compress(binary())),
    ],
    ids=["glove", "word2vec", "text.gz", "bin", "bin_without_ends", "bin.gz"],
)
def test_words_are_found_in_every_form(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    places, vectors = read_word_vectors(file, PLACES)
    # A word with a blank in it can only stand in text.
    assert places.tolist() == ([2, 3] if "bin" in name else [2, 3, 5])
    for place, vector in zip(places, vectors, strict=True):
        word = next(word for word, each in PLACES.items() if each == place)
        np.testing.assert_array_equal(vector, np.float32(VECTORS[word]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good 1 2 3\nfilm 1 x 3\n", "line 2 of --init.words .* 3 finite numbers"),
        ("a.txt", b"good 1 2 3\nfilm 1 2\n", "line 2 of .* 3 finite numbers"),
        ("a.txt", b"good 1 2 nan\n", "line 1 of .* 3 finite numbers"),
        ("a.txt", b"bon 1 2 3\n", "a vector for none of the 4 words of the vocabulary"),
        ("a.bin", b"good 1 2 3\n", "does not begin with a number of words"),
        ("a.bin", binary()[:-9], "ends within word 3 of 3; bring it again"),
        ("a.txt.gz", b"no gzip", "cannot be read: "),
        (None, b"", "cannot be read: No such file"),
    ],
    ids=[
        "no_number",
        "one_less",
        "nan",
        "other_words",
        "text_as_bin",
        "cut",
        "no_gzip",
        "none",
    ],
)
def test_faults_are_told(tmp_path, name, content, message):
    file = tmp_path / (name or "none.txt")
    if name is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_word_vectors(file, PLACES)


def test_a_run_begins_with_the_vectors_that_are_there(tmp_path):
    table, file = tmp_path / "t.tsv", tmp_path / "glove.txt"
    rows = [f"{'ab'[place % 2]}\tgood film number {place}" for place in range(20)]
    table.write_text("label\ttext\n" + "\n".join(rows))
    file.write_text(TEXT)
    recipe = Recipe(
        "words",
        data=Data(f"text:{table}", validation=0),
        model=Model("text_cnn", options={"embedding": 3, "maps": 2, "windows": (2,)}),
        init=Init(words=str(file)),
        batch_size=4,
        duration=steps(1),
    )
    program = Experiment.of(recipe).program
    loaded = initial_weights(recipe, program)
    vectors = loaded.variables["params"]["words"]["vectors"]
    words = program.spec.words
    count = len(words)
    assert (
        f"2 of the {count} words begin with the vectors of {file} ({2 / count:.1%})" in loaded.note
    )
    random = program.init(0).params["words"]["vectors"]
    for place, word in enumerate(words, start=FIRST):
        expected = VECTORS.get(word, random[place])
        np.testing.assert_array_equal(vectors[place], np.float32(expected))
    assert loaded.origin()["source"] == str(file) and loaded.origin()["numbers"] == 6
    for init, message in (
        (Init(words=str(file), source="imagenet"), "--init.words and --init-from both say"),
        (Init(words=str(table)), "is not a word with"),
    ):
        with pytest.raises(UserError, match=message):
            initial_weights(Recipe("words", model=recipe.model, init=init), program)
    frozen = dataclasses.replace(recipe, optimizer=Optimizer(freeze="^words/"))
    said = io.StringIO()
    summary = train(frozen, tmp_path / "run", console=Console(file=said, width=200))
    assert summary["origin"]["numbers"] == 6 and "2 of the" in said.getvalue()
    file.write_text("good 1 2\n")
    # What is learnt lies in the run; the file is not read again.
    kept = restore(tmp_path / "run").variables["params"]["words"]["vectors"]
    np.testing.assert_array_equal(kept, vectors)
    with pytest.raises(UserError, match=re.escape("give --model.options embedding=2")):
        initial_weights(recipe, program)
