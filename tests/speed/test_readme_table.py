"""The README's table is that of the runs, and no other line of it changes."""

import json

import pytest

from benchmarks.readme_table import _HEAD, ROWS, TOP, Row, finished, line_of, with_rows

ROW = Row("digits_lenet5", 2, note=", drawn", beside="none")


def ended(accuracy, seconds=30.0):
    return {
        "parameters": 61706,
        "test": {"accuracy": accuracy, "examples": 360},
        "seconds": {"total": seconds},
        "commit": "abc",
    }


def test_a_line_has_mean_deviation_and_time():
    line = line_of(ROW, [ended(0.99, 20.0), ended(1.0, 40.0)])
    assert line == (
        "| `python experiments/digits_lenet5.py --seeds 2`, drawn | 61,706 "
        "| 99.5 ± 0.7 (n=2), of 360 | none | 30 s |"
    )


def test_only_whole_rows_are_written(tmp_path):
    text = f"before\n\n{_HEAD}\n|---|---|\n| `python experiments/digits_lenet5.py`, drawn | old |\n"
    text += "| another | row |\n\nafter\n"
    same, left = with_rows(text, {ROW: [ended(1.0)]})
    assert same == text and left == [ROW]
    new, left = with_rows(text, {ROW: [ended(1.0), ended(1.0)]})
    assert left == [] and new == text.replace(
        "| `python experiments/digits_lenet5.py`, drawn | old |",
        line_of(ROW, [ended(1.0), ended(1.0)]),
    )
    with pytest.raises(ValueError, match="no line"):
        with_rows("nothing", {})


def test_runs_that_have_not_ended_do_not_count(tmp_path):
    for seed, summary in enumerate([ended(1.0), {"test": None}]):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps(summary))
    assert finished(tmp_path, 3) == [ended(1.0)]


def test_every_row_is_an_experiment_and_finds_its_place():
    readme = (TOP / "README.md").read_text()
    assert all((TOP / "experiments" / f"{row.experiment}.py").is_file() for row in ROWS)
    assert len({row.folder for row in ROWS}) == len(ROWS)
    new, _ = with_rows(readme, {row: [ended(0.5)] * row.seeds for row in ROWS})
    # No row is written twice or added.
    assert len(new.splitlines()) == len(readme.splitlines())
    assert new.count("50.0 ± 0.0 (n=") == sum(row.seeds > 1 for row in ROWS)
