"""What is told of own pictures: the same as `cnn-jax predict` tells, to the last digit."""

import base64
import io
import json
import struct
import tempfile
import zlib

import numpy as np
import pytest
from PIL import Image

from cnn_jax.__main__ import main
from cnn_jax.errors import UserError
from cnn_jax.evaluation.predict import predict
from cnn_jax.inside.attention import attention, scaled
from cnn_jax.inside.examples import as_seen
from cnn_jax.inside.net import net_of
from cnn_jax.report.heat import over
from cnn_jax.serve.limits import MOST_PIXELS
from cnn_jax.serve.told import Teller
from cnn_jax.trained import TrainedModel


def picture_of(shown):
    """The pixels of what is sent."""
    head, _, held = shown.source.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    picture = Image.open(io.BytesIO(base64.b64decode(held)))
    assert picture.size == (shown.width, shown.height)
    return np.asarray(picture)


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_it_tells_what_predict_tells(run, teller, digit, capsys):
    answer = teller("a.png", digit.read_bytes())
    main(["predict", str(run), str(digit), "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    (table,) = json.loads(json.dumps(answer.to_json()))["tables"]
    assert table["of"] == "a.png" and table["columns"] == ["class", "probability"]
    assert [each["name"] for each in table["rows"]] == told["classes"]
    assert [each["value"] for each in table["rows"]] == told["probabilities"]
    assert table["rows"][0]["text"] == f"{told['probabilities'][0]:.2%}"
    # Again with what is compiled already, and in another form.
    assert teller("a.png", digit.read_bytes()) == answer
    bmp = encoded(np.asarray(Image.open(digit)), "BMP")
    assert teller("b", bmp).tables[0].rows == answer.tables[0].rows


def test_large_pictures_in_colour_are_told_as_predict_does(restored, teller, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    (tmp_path / "x.jpg").write_bytes(encoded(pixels, "JPEG", exif=exif))
    (told,) = predict(restored, [tmp_path / "x.jpg"])
    rows = teller("x.jpg", (tmp_path / "x.jpg").read_bytes()).tables[0].rows
    assert tuple(each.value for each in rows) == told.probabilities


def test_the_map_is_that_of_what_is_told(restored, teller, digit):
    answer = teller("a.png", digit.read_bytes())
    given, seen = map(picture_of, answer.pictures)
    assert given.shape == seen.shape == (224, 224, 3)
    np.testing.assert_array_equal(given[::28, ::28, 0], np.asarray(Image.open(digit)))
    assert answer.pictures[0].title == "as the net is given it"
    title = answer.pictures[1].title
    assert f"orange speaks for {answer.tables[0].rows[0].name}, blue" in title
    assert title.startswith("Grad-CAM at layer pool1")
    trained = TrainedModel(restored)
    inputs = trained.preprocess(digit)
    made = attention(net_of(trained), inputs, answer.tables[0].rows[0].name)
    (level,), (picture,) = scaled(made.maps, (8, 8)), as_seen(trained, inputs)
    np.testing.assert_array_equal(seen[::28, ::28], over(picture, level))
    nothing = any("nothing speaks for" in note for note in answer.notes)
    assert nothing == (made.maps.max() <= 0)


def test_what_is_no_picture_is_named_as_the_user_does(teller, digit):
    good = digit.read_bytes()
    for name, content, says in (
        ("words.png", b"words", "words.png: is not a JPEG, PNG, BMP, WebP or TIFF image"),
        ("nothing.png", b"", "nothing.png: is empty"),
        ("half.png", good[: len(good) // 2], "half.png: cannot be read"),
        ("GIF89a.gif", b"GIF89a" + bytes(50), "GIF89a.gif: is of the format GIF, which is not"),
        ("a.svg", b"<svg onload=alert(1)>", "a.svg: is of the format SVG"),
    ):
        with pytest.raises(UserError) as refused:
            teller(name, content)
        assert str(refused.value).startswith(says)
        assert tempfile.gettempdir() not in str(refused.value)


def bomb(width, height):
    """A PNG of so many grey pixels, in few bytes."""

    def chunk(kind, held):
        checked = zlib.crc32(kind + held)
        return struct.pack(">I", len(held)) + kind + held + struct.pack(">I", checked)

    rows = zlib.compress(bytes(1_000_000), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )  # fmt: skip


def test_a_picture_of_too_many_pixels_is_refused_by_its_head(teller, monkeypatch):
    decoded = []
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: decoded.append(self))
    side = int(MOST_PIXELS**0.5) + 1
    with pytest.raises(UserError, match=f"has {side:,} x {side:,} pixels, more than the 25,000,00"):
        teller("bomb.png", bomb(side, side))
    with pytest.raises(UserError, match=r"bomb.png: has .*pixels"):
        teller("bomb.png", bomb(2**31 - 1, 2**31 - 1))
    assert not decoded


def test_nothing_is_left_of_what_was_sent(teller, digit, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    written = []
    write = type(tmp_path).write_bytes

    def noted(self, content):
        written.append(self)
        return write(self, content)

    monkeypatch.setattr(type(tmp_path), "write_bytes", noted)
    teller("../../a.png", digit.read_bytes())
    with pytest.raises(UserError):
        teller("/etc/x.png", b"words")
    assert [each.name for each in written] == ["own", "own"]
    assert all(each.parent.parent == tmp_path for each in written)
    assert not list(tmp_path.iterdir())


def test_how_a_picture_is_read_is_said(teller):
    answer = teller("deep.png", encoded(np.arange(64, dtype=np.uint16).reshape(8, 8) * 900))
    assert answer.notes[0] == "The picture is grey of 16 bits, which are read as 8."


def test_fewer_classes_are_told_where_they_are_asked_for(restored, digit):
    answer = Teller(restored, 2)("a.png", digit.read_bytes())
    assert len(answer.tables[0].rows) == 2
    with pytest.raises(UserError, match="--top 0 must be at least 1"):
        Teller(restored, 0)
