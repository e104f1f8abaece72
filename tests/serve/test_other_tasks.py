"""Own texts, series, sounds, and pictures of which places are told."""

import json

import numpy as np
import pytest
from PIL import Image
from sound_sets import whistle, write
from test_told import encoded, picture_of

from cnn_jax.errors import UserError
from cnn_jax.evaluation.mask_pictures import class_colours, over
from cnn_jax.evaluation.predict import predict, predict_readable
from cnn_jax.evaluation.predict_boxes import predict_boxes
from cnn_jax.evaluation.predict_masks import MasksTold
from cnn_jax.evaluation.predict_text import deciding_windows, predict_texts
from cnn_jax.serve import limits
from cnn_jax.serve.told import Teller


def values(table):
    return tuple(each.value for each in table.rows)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)


def test_the_mask_lies_over_the_picture(of_masks, photo, tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(photo))
    ((told,), _) = predict_readable(of_masks, [tmp_path / "a.png"], 2, tmp_path / "out")
    teller = Teller(of_masks, 5)
    teller.warm_up()
    answer = teller("a.png", encoded(photo))
    (table,) = answer.tables
    assert [each.name for each in table.rows] == list(told.best(2).classes)
    assert values(table) == told.best(2).shares
    colours = class_colours(of_masks.spec)
    first = of_masks.spec.class_names.index(table.rows[0].name)
    assert table.rows[0].colour == "#" + bytes(colours[first].tolist()).hex()
    laid, given, seen = map(picture_of, answer.pictures)
    np.testing.assert_array_equal(laid, over(photo, MasksTold(of_masks)(photo), colours))
    np.testing.assert_array_equal(laid, np.asarray(Image.open(tmp_path / "out/a_over.png")))
    assert given.shape == seen.shape == (228, 304, 3)  # 12 by 16, enlarged
    assert f"speaks for {table.rows[0].name}" in answer.pictures[2].title
    with pytest.raises(UserError, match=r"^half.png: cannot be read"):
        teller("half.png", encoded(photo)[:900])


def test_boxes_are_listed_and_drawn(of_boxes, photo, tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(photo))
    placed = predict_boxes(of_boxes, [tmp_path / "a.png"], tmp_path / "out", 5)
    teller = Teller(of_boxes, 5)
    teller.warm_up()
    answer = teller("a.png", encoded(photo))
    (table,) = answer.tables
    assert table.columns == ("class", "score", "left", "top", "width", "height")
    found = [
        (each.name, each.value, *map(int, each.more)) if each.more else (each.name,)
        for each in table.rows
    ]
    listed = [tuple(row[name] for name in table.columns if name in row) for row in placed.rows]
    assert found == listed and len(found) >= 1
    (drawn,) = map(picture_of, answer.pictures)
    np.testing.assert_array_equal(drawn, np.asarray(Image.open(tmp_path / "out/a.jpg")))
    assert any("There is no attention map: the run tells boxes" in note for note in answer.notes)
    with pytest.raises(UserError, match=r"^words.png: is not a"):
        teller("words.png", b"words")


def test_a_text_is_told_with_its_words(of_texts):
    teller, text = Teller(of_texts, 5), "the plot is great,\nthe plot"
    teller.warm_up()
    answer = teller("", text.encode())
    (told,) = predict_texts(of_texts, [text])
    assert [each.name for each in answer.tables[0].rows] == list(told.classes)
    assert values(answer.tables[0]) == told.probabilities
    assert [word for word, _ in answer.words][:4] == ["the", "plot", "is", "great"]
    assert max(abs(level) for _, level in answer.words) <= 1
    (windows,) = deciding_windows(of_texts, [text])
    decided = [note for note in answer.notes if note.startswith("Decided by: ")]
    assert bool(decided) == bool(windows)
    assert all(each.words in decided[0] for each in windows)
    long = teller("", b"the plot " * 40)
    assert any("cut after" in note for note in long.notes)


def test_what_is_no_text_is_refused(of_texts):
    teller = Teller(of_texts, 5)
    for content, says in ((b" \n", "there is no text"), (b"\xff\xfe", "the text is not UTF-8")):
        with pytest.raises(UserError, match=says):
            teller("", content)
    # A text that is the name of a file is a text.
    assert teller("", b"/etc/passwd").tables[0].rows


def test_series_of_a_file_are_told_row_by_row(of_series, tmp_path, monkeypatch):
    random, teller = np.random.default_rng(3), Teller(of_series, 5)
    teller.warm_up()
    lines = ["?\t" + "\t".join(map(str, random.normal(0, 1, 10).round(3))) for _ in range(8)]
    (tmp_path / "own.tsv").write_text("\n".join(lines))
    answer = teller("mine.TSV", (tmp_path / "own.tsv").read_bytes())
    told = predict(of_series, [tmp_path / "own.tsv"])
    assert [values(each) for each in answer.tables] == [each.probabilities for each in told]
    assert [each.of for each in answer.tables][:2] == ["mine.TSV:1", "mine.TSV:2"]
    assert "Drawn are the first 6, 2 more are not." in answer.notes
    assert picture_of(answer.pictures[0]).shape[2] == 3
    for name, content, says in (
        ("a.xls", b"1\t2", "a.xls: the model is given series; valid are .ts, .tsv"),
        ("a.tsv", b"", "a.tsv: is empty"),
        ("a.tsv", b"up\tone\ttwo", "a.tsv"),
    ):
        with pytest.raises(UserError) as refused:
            teller(name, content)
        assert str(refused.value).startswith(says) and "/own" not in str(refused.value)
    monkeypatch.setattr(limits, "MOST_SERIES", 7)
    with pytest.raises(UserError, match=r"^mine.tsv: holds 8 series, more than the 7 that are"):
        teller("mine.tsv", (tmp_path / "own.tsv").read_bytes())
    monkeypatch.setattr(limits, "MOST_TIMES", 9)
    with pytest.raises(UserError, match=r"^one.tsv: has 10 times, more than the 9 that are read"):
        teller("one.tsv", lines[0].encode())


def test_a_sound_is_told_with_its_windows(of_sounds, tmp_path):
    file = write(tmp_path / "a.wav", whistle("high", 0.6, seed=5))
    answer = Teller(of_sounds, 5)("a.wav", file.read_bytes())
    (told,) = predict(of_sounds, [file])
    assert values(answer.tables[0]) == told.probabilities
    assert answer.tables[0].of == "a.wav"
    assert len(answer.pictures) == 1 and "Grad-CAM" in answer.pictures[0].title


def test_long_and_broken_sounds_are_refused_by_their_head(of_sounds, tmp_path, monkeypatch):
    teller, sound = Teller(of_sounds, 5), whistle("low", 0.5)
    file = write(tmp_path / "a.flac", np.stack([sound] * 2, axis=1))
    monkeypatch.setattr("soundfile.SoundFile.read", None)
    monkeypatch.setattr(limits, "MOST_SAMPLES", 3999)
    with pytest.raises(UserError, match=r"^a.flac: has 4,000 samples, more than the 3,999 that"):
        teller("a.flac", file.read_bytes())
    monkeypatch.setattr(limits, "MOST_SECONDS", 0)
    with pytest.raises(UserError, match=r"^a.flac: lasts 0 s, longer than the 0 s that are read"):
        teller("a.flac", file.read_bytes())
    with pytest.raises(UserError, match=r"^a.wav: cannot be read as a sound"):
        teller("a.wav", b"RIFF, but no more")
    with pytest.raises(UserError, match=r"^a.png: the model is given sound; valid are .wav"):
        teller("a.png", b"words")


def test_answers_are_json_whatever_the_numbers(of_series):
    answer = Teller(of_series, 5)("a.csv", b"1,2,3,4,5,6,7,8,9,1e38\n")
    assert json.loads(json.dumps(answer.to_json(), allow_nan=False))
