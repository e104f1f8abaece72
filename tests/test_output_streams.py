"""Output that cannot be written harms nothing."""

import errno
import io
import os
import sys

import pytest
from rich.console import Console

from cnn_jax.output_streams import forgiving_output
from cnn_jax.tasks.classification import ACCURACY
from cnn_jax.terminal import live, say
from cnn_jax.training.display import Display


def stream(file, buffered):
    raw = io.FileIO(file, "w")
    if not buffered:  # as with PYTHONUNBUFFERED
        return io.TextIOWrapper(raw, encoding="ascii", errors="replace", write_through=True)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii", errors="replace")


@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_disk_and_a_reader_that_has_gone_end_nothing(buffered, monkeypatch):
    end, gone = os.pipe()
    os.close(end)
    for file, number in (("/dev/full", errno.ENOSPC), (gone, errno.EPIPE)):
        given = stream(file, buffered)
        monkeypatch.setattr(sys, "stdout", given)
        with forgiving_output() as output:
            assert (sys.stdout.encoding, sys.stdout.errors) == ("ascii", "replace")
            for _ in range(3):
                print("long " * 10_000)
                Console().print("a line")
        assert sys.stdout is given
        assert output.failure.errno == number


def test_what_can_be_written_arrives_in_order(monkeypatch, tmp_path):
    given = stream(str(tmp_path / "log"), buffered=True)
    monkeypatch.setattr(sys, "stdout", given)
    print("before")
    with forgiving_output() as output, forgiving_output():
        print("within")
    print("after", flush=True)
    assert (tmp_path / "log").read_text() == "before\nwithin\nafter\n"
    assert output.failure is None


def test_text_that_could_not_be_written_before_is_not_tried_again(monkeypatch):
    given = stream("/dev/full", buffered=True)
    monkeypatch.setattr(sys, "stdout", given)
    print("before")
    with forgiving_output() as output:
        assert output.failure.errno == errno.ENOSPC
    sys.stdout.flush()
    assert sys.stdout is not given
    with pytest.raises(OSError, match="No space"):
        given.close()


def test_a_console_of_ones_own_may_fail_as_well():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    console = Console(file=Full())
    say(console, "lost")
    display = Display(3, console, (ACCURACY,), ACCURACY)
    with display, display.clock("compiling"):
        display.row({"step": 1})


def test_colours_that_are_forced_upon_a_file_make_it_no_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console(file=io.StringIO())
    assert console.is_terminal and not live(console)
