"""What is printed comes out as it is, whatever stands behind stdout."""

import io
import sys

import pytest
from rich.console import Console

from cnn_jax.commands.output import print_fields, print_json, print_rows
from cnn_jax.runs.seeds_at_once import _Prefixed
from cnn_jax.tasks.classification import ACCURACY
from cnn_jax.terminal import Fitted, between_words, live, never_fail, one_line, say
from cnn_jax.training.display import Display, per_second

NAMES = ["[other]", ":cat:", "a [/b].png", "[bold red]x", "caf\udce9"]


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self):
        return True


def console(width, **options):
    return Console(file=Terminal(), width=width, color_system=None, **options)


@pytest.mark.parametrize(
    ("encoding", "signs"),
    [("ascii", "+- x - \\u732b ..."), ("latin-1", "± × · \\u732b ..."), ("utf-8", "± × · 猫 …")],
)
def test_no_sign_ends_the_program(encoding, signs, monkeypatch):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    never_fail()
    names = [*NAMES, "± × · 猫 …"]
    print_rows([{"name": name} for name in names], ("name",), as_json=False, empty="")
    say(Console(), "\n".join(names))
    say(Console(stderr=True), names[-1])
    print(*names)
    print_json(names)
    for stream in streams.values():
        stream.flush()
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams.values())
    for name in [*NAMES[:-1], r"caf\xe9", signs]:
        assert out.count(name) >= 3
    assert err == signs + "\n"


def test_names_are_shown_as_they_are(capsys):
    rows = [{"image": name, "class": name} for name in NAMES[:-1]]
    print_rows(rows, ("image", "class"), as_json=False, empty="")
    print_fields(dict.fromkeys(NAMES[:-1], ":dog:"))
    out = capsys.readouterr().out
    for name in NAMES[:-1]:
        assert out.count(name) == 3
    assert out.count(":dog:") == 4
    shown = Console(file=io.StringIO())
    say(shown, "runs/:cat: [x]")
    say(_Prefixed(shown, "seed 1: "), "runs/:cat: [x]")
    assert shown.file.getvalue() == "runs/:cat: [x]\nseed 1: runs/:cat: [x]\n"


def test_signs_that_move_the_cursor_are_written_as_escapes():
    assert one_line("a\nb\x1b[2J é") == r"a\nb\x1b[2J é"


def test_no_word_is_broken():
    line = "  12,345,678 images lie in /a/path/longer/than/the/line and more"
    parts = between_words(line, 20)
    assert parts[0].startswith("  12,345,678")
    assert " ".join(parts).split() == line.split()
    assert all(len(part) <= 20 or " " not in part for part in parts)
    shown = console(20)
    say(shown, line)
    assert shown.file.getvalue().split() == line.split()
    log = Console(file=io.StringIO(), width=20)
    say(log, line)
    assert log.file.getvalue() == line + "\n"


def test_colours_take_no_room():
    file = io.StringIO()
    Fitted(file, 10).write("\x1b[1m12345\x1b[0m 7890\nab\n1234567 90123\n")
    assert file.getvalue() == "\x1b[1m12345\x1b[0m 7890\nab\n1234567\n90123\n"


def test_a_log_has_no_bar_with_forced_colours(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = Console(file=io.StringIO())
    assert log.is_terminal
    assert not live(log)
    with Display(10, log, (ACCURACY,), ACCURACY) as display:
        display.step(5, 0.5, 100.0)
        display.row({"step": 5})
    assert "\x1b" not in log.file.getvalue()


def test_a_bar_is_for_terminals(monkeypatch):
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert live(console(80))
    assert not live(console(80, force_terminal=False))
    monkeypatch.setenv("TERM", "dumb")
    assert not live(console(80))


ROW = {
    "epoch": 12.5, "step": 195310, "train loss": 12.3456, "train accuracy": 1.0, "val loss": 10.5,
    "val accuracy": 1.0, "rate": 0.0123, "images/s": 123456.0, "best": "*",
}  # fmt: skip


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(100, ""), (80, ""), (66, "images/s"), (60, "images/s rate"), (50, "images/s rate epoch")],
)
def test_the_training_table_fits_the_terminal(width, left_out, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    shown = console(width)
    display = Display(200_000, shown, (ACCURACY,), ACCURACY)
    display.row(ROW)
    display.row(ROW)
    heading, *rows = shown.file.getvalue().splitlines()
    assert rows[0] == rows[1]
    assert max(map(len, (heading, *rows))) <= width
    words = {
        "epoch": "12.50", "step": "195310", "train loss": "12.3456", "train accuracy": "100.00%",
        "val loss": "10.5000", "val accuracy": "100.00%", "rate": "1.23e-02", "images/s": "123,456",
        "best": "*",
    }  # fmt: skip
    kept = [name for name in ROW if name not in left_out.split()]
    assert heading.split() == " ".join(kept).replace("accuracy", "acc").split()
    assert rows[0].split() == [words[name] for name in kept]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_cuts_no_number(width, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    shown = console(width)
    with Display(195_310, shown, (ACCURACY,), ACCURACY) as display:
        display.step(12_345, 12.3456, 12_345.0, 0.12)
    last = shown.file.getvalue().split("\r")[-2]
    assert "12345/195310" in last
    assert "12.3456" in last
    assert "…" not in last


@pytest.mark.parametrize(
    ("rate", "words"),
    [(12_345.6, "12,346"), (10.0, "10"), (9.96, "10"), (3.84, "3.8"), (0.42, "0.42"), (0.0, "0")],
)
def test_few_examples_a_second_are_told_in_two_digits(rate, words):
    assert per_second(rate) == words
