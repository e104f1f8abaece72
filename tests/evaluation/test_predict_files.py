"""What `cnn-jax predict` takes, and what it says of what it cannot take."""

import csv
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from evaluation_folders import draw
from PIL import Image

from cnn_jax.__main__ import main
from cnn_jax.evaluation.pictures import pictures
from cnn_jax.evaluation.predict import predict, predict_readable


def test_good_images_are_predicted_and_bad_ones_named(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw(Path("new"), 1, seed=1, classes=("cat", "owl"))
    Path("words.png").write_text("words")
    words = ["new/cat/1-000.png", "nothere.png", "words.png", "new/owl/1-000.png"]
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(trained[0] / "run"), *words, "--json", "--top", "1", "--csv", "t.csv"])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [each["image"] for each in found] == [words[0], words[3]]
    assert all(len(each["classes"]) == 1 for each in found)
    assert "2 images cannot be read" in said.err
    assert "nothere.png: there is no such file" in said.err and "words.png: is not a" in said.err
    header, *rows = csv.reader(Path("t.csv").read_text().splitlines())
    assert header == ["file", "predicted", "cat", "dog", "owl"]
    assert [row[0] for row in rows] == [words[0], words[3]]
    for row, each in zip(rows, found, strict=True):
        assert row[1] == each["classes"][0]
        assert max(map(float, row[2:])) == each["probabilities"][0]
        assert sum(map(float, row[2:])) == pytest.approx(1, abs=1e-5)


def test_a_pipe_is_read_like_a_file(restored, tmp_path):
    file = draw(tmp_path / "new", 1, seed=1) / "dog" / "1-000.png"
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(file.read_bytes()))
    writer.start()
    (found,) = predict(restored, [tmp_path / "pipe"])
    writer.join()
    (expected,) = predict(restored, [file])
    assert found.probabilities == expected.probabilities


def test_standard_input_is_read(restored, tmp_path, monkeypatch):
    file = draw(tmp_path / "new", 1, seed=1) / "dog" / "1-000.png"
    with file.open("rb") as opened:
        monkeypatch.setattr("sys.stdin", type("Input", (), {"buffer": opened}))
        (found,), bad = predict_readable(restored, [Path("-")])
    assert found.image == "-" and not bad
    assert found.probabilities == predict(restored, [file])[0].probabilities


def test_folders_and_patterns_stand_for_the_pictures_in_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.png", "b/1.png", "b/deep/3.png", "a/4.png", "b/.hidden.png", "x[1].png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(name)
    Image.new("L", (4, 4)).save("b/no ending", "PNG")
    Path("b/notes.txt").write_text("words")
    Path("b/words.jpg").write_text("words")
    Path("empty").mkdir()

    def found(*words):
        files, bad = pictures([Path(word) for word in words])
        return [str(file) for file in files], [str(each) for each in bad]

    # A file with the name of a picture that is none is told when it is read.
    below = ["b/1.png", "b/2.png", "b/no ending", "b/words.jpg", "b/deep/3.png"]
    assert found("b") == (below, [])
    assert found("b/*.png", "-") == (["b/1.png", "b/2.png", "-"], [])
    assert found("**/*.png") == (["a/4.png", "b/1.png", "b/2.png", "b/deep/3.png", "x[1].png"], [])
    assert found("[b]") == (below, [])
    # What is there is meant, though it could be a pattern.
    assert found("x[1].png") == (["x[1].png"], [])
    assert found("empty", "c*", "none.png") == (
        [],
        [
            "empty: holds no pictures",
            "c*: there is no such file, folder or pattern",
            "none.png: there is no such file, folder or pattern",
        ],
    )


def test_linked_folders_are_entered_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("there/1.png", "b/2.png"):
        Path(name).parent.mkdir()
        Image.new("L", (4, 4)).save(name)
    Path("b/link").symlink_to("../there")
    Path("b/round").symlink_to(".")
    files, bad = pictures([Path("b")])
    assert [str(file) for file in files] == ["b/2.png", "b/link/1.png"] and not bad


def test_more_than_a_batch_is_predicted_in_order(restored, tmp_path):
    top = draw(tmp_path / "new", 44, seed=1)
    files = sorted(top.glob("*/*.png"))
    found = predict(restored, files)
    assert [each.image for each in found] == list(map(str, files))
    assert np.mean([each.classes[0] in each.image for each in found]) > 0.9
