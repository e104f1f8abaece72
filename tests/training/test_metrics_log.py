"""The lines of metrics that a start finds, and what it leaves of them."""

import json

import pytest
from tiny_task import spec

from cnn_jax import Recipe, RunFacts
from cnn_jax.training.metrics_log import JsonLines


def line(kind, step, **values):
    return json.dumps({"kind": kind, "step": step, **values}).encode() + b"\n"


WHOLE = line("train", 3, loss=0.5) + line("validation", 3) + line("restart", 3, restarts=1)


def begun(tmp_path, content, **places):
    """What a start at step 4 leaves of a file, and how many lines it left out as damaged."""
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(content)
    places = {"step": 4, "validated": 3, "restarts": 1, **places}
    said = []
    log = JsonLines(file, said.append)
    log.start(RunFacts(Recipe("made up"), tmp_path, spec(), **places))
    log.end(None, "stopped")
    return file.read_bytes(), int(said[0].split()[0]) if said else 0


def test_what_is_written_again_is_taken_back(tmp_path):
    later = line("train", 5) + line("validation", 4) + line("restart", 4, restarts=2)
    assert begun(tmp_path, WHOLE + later) == (WHOLE, 0)


@pytest.mark.parametrize(
    "damaged",
    [
        line("train", 2).replace(b"step", b"st\xffp"),
        b"\x00" * 40 + b"\n",
        line("trained", 2),
        line("train", "2"),
        line(["train"], 2),
        b'{"kind": "train"}\n',
        b"[1]\n",
        b"7\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_a_damaged_line_is_left_out_and_counted(damaged, tmp_path):
    assert begun(tmp_path, damaged + WHOLE + damaged) == (WHOLE, 2)


def test_a_line_that_was_cut_short_is_no_damage(tmp_path):
    assert begun(tmp_path, WHOLE + line("train", 4)[:9]) == (WHOLE, 0)
    assert begun(tmp_path, b"") == (b"", 0)
