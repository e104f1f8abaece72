"""The page of several runs: the numbers of `cnn-jax compare`, beside each other."""

import json
import re
import shutil

import pytest

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.report.page.comparison import compared, comparison_page

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def folders(run, tmp_path_factory):
    """The run, as if it had been one of two recipes with two seeds each."""
    top = tmp_path_factory.mktemp("compared")
    found = []
    for rate, seed, accuracy in ((0.01, 0, 0.5), (0.01, 1, 0.6), (0.1, 0, 0.8), (0.1, 1, 0.9)):
        folder = top / f"rate={rate}" / f"seed {seed}"
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("checkpoints", "predictions"))
        for name in ("recipe.json", "summary.json"):
            stored = json.loads((folder / name).read_text())
            recipe = stored if name == "recipe.json" else stored["recipe"]
            recipe["seed"], recipe["optimizer"]["learning_rate"] = seed, rate
            if name == "summary.json":
                stored["test"]["accuracy"] = accuracy
            (folder / name).write_text(json.dumps(stored))
        found.append(folder)
    return found


def text_of(page):
    body = page[page.index("<body>") :]
    body = re.sub(r"<(script|style).*?</\1>", " ", body, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_groups_are_those_of_the_recipes(folders):
    found = compared(folders)
    text = text_of(comparison_page(found))
    assert "4 runs in 2 groups" in text
    assert "learning_rate=0.01 2 55.00% ± 7.07%" in text
    assert "learning_rate=0.1 2 85.00% ± 7.07%" in text
    assert "accuracy of learning_rate=0.1 less that of learning_rate=0.01: +30.00%" in text
    assert "paired, n=2" in text
    assert "optimizer.learning_rate 0.01, 0.1" in text
    # Folders of one name are told apart by what stands above them.
    assert "rate=0.1/seed 1" in text


def test_a_group_of_its_own_is_the_answer(folders):
    text = text_of(comparison_page(compared(folders[:2])))
    assert "2 runs of one recipe" in text and "55.00% ± 7.07% test accuracy" in text
    assert "there is nothing to compare it with" in text
    assert "All recipes are the same but for the seed" in text or "seed 0, 1" in text


def test_what_differs_beside_the_recipe_is_said(folders, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folders[3], other)
    summary = json.loads((other / "summary.json").read_text())
    summary["commit"], summary["versions"]["jax"] = "abc", "0.0.1"
    (other / "summary.json").write_text(json.dumps(summary))
    notes = compared([folders[0], other]).notes
    assert any("2 commits" in note and "abc" in note for note in notes)
    assert any("several versions of jax" in note and "0.0.1" in note for note in notes)


def test_runs_that_have_not_finished_are_left_out(folders, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(folders[0], part)
    (part / "summary.json").unlink()
    found = compared([*folders[:2], part])
    assert len(found.runs) == 2 and f"left out, not finished: {part}" in found.notes
    with pytest.raises(UserError, match="none of these runs has finished"):
        compared([part])


def test_the_command_compares(folders, tmp_path, capsys):
    out = tmp_path / "several.html"
    main(["report", str(folders[0].parent.parent), "--output", str(out)])
    assert "several.html" in capsys.readouterr().out
    page = out.read_text()
    assert "4 runs in 2 groups" in page and "http-equiv" in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--card", "card.md"], "--card is of one run, and here are 2"),
        (["--view", "mine.py:own"], "--view is of one run, and here are 2"),
    ],
)
def test_what_is_of_one_run_is_not_made_of_several(folders, words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["report", *map(str, folders[:2]), "--output", str(tmp_path / "x.html"), *words])
    assert message in capsys.readouterr().err


def test_a_run_counts_once(folders):
    assert len(compared([folders[0], folders[0]]).runs) == 1
