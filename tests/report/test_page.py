"""The page of a run: what stands in it, that it loads nothing, and what is refused."""

import html.parser
import itertools
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile_names import HOSTILE

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.commands.report import check_output
from cnn_jax.evaluation.found_predictions import find_predictions
from cnn_jax.evaluation.measured import measure
from cnn_jax.report.page.card import card
from cnn_jax.report.page.charts import in_script
from cnn_jax.report.page.described import Asked, described
from cnn_jax.report.page.facts import RunFacts
from cnn_jax.report.page.gallery import gallery
from cnn_jax.report.page.page import page, page_of
from cnn_jax.report.page.results import by_name_table, confused_pairs

pytestmark = pytest.mark.usefixtures("quick")

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Read(html.parser.HTMLParser):
    """A page as a browser reads it: elements, texts, and what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def every(self, tag, **wanted):
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and all(attrs.get(key) == value for key, value in wanted.items())
        ]


@pytest.fixture(scope="module")
def found(run, quick):
    return described(run, Asked(split="test", examples=9))


@pytest.fixture
def read(found):
    return Read(page(found))


def test_its_numbers_are_those_of_the_summary(run, read):
    summary = json.loads((run / "summary.json").read_text())
    assert f"{summary['test']['accuracy']:.2%} test accuracy" in read.text
    told = find_predictions(run, "test").predictions
    low, high = measure(told, 40).intervals["accuracy"]
    assert f"95 % interval {low:.2%} to {high:.2%}, on all 50 images" in read.text
    assert f"nll {summary['test']['nll']:.4f}" in read.text
    assert f"step {summary['best']['step']} of 8: the best validation accuracy" in read.text
    assert f"parameters {summary['parameters']:,}" in read.text


def test_names_of_others_are_texts_and_no_html(read, run):
    scripts = [attrs for tag, attrs in read.elements if tag == "script"]
    assert all(set(attrs) <= {"type", "data-chart"} for attrs in scripts)
    assert len(scripts) == 3 + len(read.every("script", type="application/json"))
    assert not read.every("i") and not read.every("b")
    for name in (*HOSTILE, "<i>hostile</i>", "<b>&'.npz"):
        assert name in read.text, name
    # What stands in attributes is the name again.
    values = {attrs["value"] for attrs in read.every("option")}
    assert values <= {"", *HOSTILE} and len(values) > 1


def test_it_loads_nothing(found):
    text = page(found)
    read = Read(text)
    loads = [
        value
        for _, attrs in read.elements
        for name, value in attrs.items()
        if name in ("src", "href", "action", "poster", "srcset", "data")
    ]
    assert all(value.startswith(("data:", "#")) for value in loads) and len(loads) > 20
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    (policy,) = (attrs["content"] for attrs in read.every(
        "meta", **{"http-equiv": "Content-Security-Policy"}))  # fmt: skip
    assert policy.startswith("default-src 'none'") and "http" not in policy
    assert "eval" not in policy and "connect-src" not in policy


def test_it_can_be_read_without_eyes_or_mouse(read):
    assert read.every("html", lang="en") and read.every("meta", name="viewport")
    assert len(read.every("h1")) == 1 and len(read.every("main")) == 1
    assert all(each["alt"] for each in read.every("img"))
    assert all(each.get("aria-label") for each in read.every("div", role="img"))
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    inside = [each["href"][1:] for each in read.every("a") if each["href"].startswith("#")]
    labelled = [
        attrs["aria-labelledby"] for _, attrs in read.elements if "aria-labelledby" in attrs
    ]
    assert set(inside) | set(labelled) <= set(ids)
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert all(later <= before + 1 for before, later in itertools.pairwise(levels))
    assert all(each.get("tabindex") == "0" for each in read.every("div", role="region"))


def test_every_chart_has_its_values_as_a_table(read, found, run):
    assert [each.title for each in found.curves] == ["loss", "accuracy", "learning rate"]
    specs = read.every("script", type="application/json")
    assert len(specs) == len(found.curves) + len(found.trust) == 4
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = {each["step"]: each for each in lines if each["kind"] == "validation"}
    rows = {row[0]: row for row in found.curves[1].rows}
    for step, each in told.items():
        assert rows[str(step)][2] == f"{each['accuracy']:.2%}"


def test_mistakes_are_those_of_the_predictions(found, read, run):
    told = find_predictions(run, "test").predictions.predicted().values()
    wrong = np.flatnonzero(~told["right"])
    assert len(found.mistakes.cells) == len(wrong) > 3
    pairs = sorted((HOSTILE[told["truth"][i]], HOSTILE[told["told"][i]]) for i in wrong)
    assert sorted((each.true[0], each.told[0]) for each in found.mistakes.cells) == pairs
    cells = [attrs for tag, attrs in read.elements if tag == "figure" and "data-true" in attrs]
    assert sorted((json.loads(each["data-true"])[0], json.loads(each["data-told"])[0])
                  for each in cells) == pairs  # fmt: skip
    buttons = [each for each in read.every("button") if "data-true" in each]
    assert sorted({(each["data-true"], each["data-told"]) for each in buttons}) == sorted(
        set(pairs)
    )


def test_of_many_mistakes_each_pair_comes_first(run, found):
    told = find_predictions(run, "test").predictions
    few = gallery(run, found.examined, told, 3)
    every = {(each.true, each.told) for each in found.mistakes.cells}
    shown = [(each.true, each.told) for each in few.cells]
    assert len(set(shown)) == min(3, len(every)) and "; shown are 3" in few.says


def test_only_what_is_asked_of_the_test_part_is_looked_at(run):
    text = page_of(run)
    assert "so that the test part stays unseen" in text
    assert "Examples of the validation part" in text


def test_changed_fields_are_marked(read, found):
    changed = [each.name for each in found.facts.fields if each.differs]
    assert "optimizer.learning_rate" in changed and "model.dtype" not in changed
    # What the task decides by itself is no change.
    assert "loss.name" not in changed and "checkpoints.metric" not in changed
    rows = read.every("tr", **{"class": "differs"})
    assert len(rows) == len(changed)


def test_an_extra_section_stands_first(run, found):
    text = page(found, extra_section='<section id="own"><script>1 < 2</script></section>')
    assert text.index('<section id="own"><script>1 < 2</script>') < text.index('id="results"')
    (policy,) = (each["content"] for each in Read(text).every("meta") if "http-equiv" in each)
    assert policy.endswith("connect-src 'self'")


def test_numbers_are_told_by_charts_and_distances(numbers):
    found = described(numbers)
    assert [each.title for each in found.trust] == ["told and true number 0"]
    assert found.matrix is None and not found.mistakes.true
    text = page(found)
    assert "Told and true" in text and "told farthest off" in text
    Read(text)


def test_a_run_that_goes_on_says_so(run, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(run, part)
    (part / "summary.json").unlink()
    shutil.rmtree(part / "predictions")
    lines = (part / "metrics.jsonl").read_text()
    (part / "metrics.jsonl").write_text(lines + '{"kind": "tr')  # as a killed run leaves it
    found = described(part)
    assert "has not finished: it has come to step 8" in page(found)
    assert found.left_out["mistakes"] == "the run has not finished"
    assert found.attention is not None


@pytest.mark.parametrize("data", [True, False])
def test_a_run_that_has_only_begun_has_a_page_as_well(run, tmp_path, data):
    folder = tmp_path / "begun"
    folder.mkdir()
    for name in ("recipe.json", "starts.jsonl", *["data.json"] * data):
        shutil.copy(run / name, folder)
    found = described(folder)
    text = Read(page(found)).text
    assert "no result yet" in text and "it has come to step 0" in text
    assert {"curves", "examples"} <= set(found.left_out)
    assert "No result yet" in card(found)


def test_data_that_are_gone_leave_their_sections_out(run, hostile_recipe):
    file = Path(hostile_recipe.data.name.partition(":")[2])
    away = file.rename(file.with_name("away.npz"))
    try:
        found = described(run)
    finally:
        away.rename(file)
    assert set(found.left_out) == {"examples"} and not found.samples
    text = Read(page(found)).text
    assert "test accuracy" in text and "give the place where it lies now" in text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("summary.json", "{}", "summary.json is damaged: it has no steps, best"),
        ("summary.json", "{", "summary.json is no JSON"),
        ("recipe.json", '{"name": 1, "nmae": 2}', "recipe.json does not fit this version"),
        ("metrics.jsonl", "x\n{}\n", "metrics.jsonl is damaged: line 1 is no JSON object"),
        ("starts.jsonl", "[]\n{}\n", "starts.jsonl is damaged: line 1"),
    ],
)
def test_damaged_runs_are_refused(run, tmp_path, file, content, message):
    part = tmp_path / "part"
    shutil.copytree(run, part, ignore=shutil.ignore_patterns("checkpoints", "predictions"))
    (part / file).write_text(content)
    with pytest.raises(UserError, match=message):
        described(part)


def test_values_in_scripts_cannot_end_them():
    text = in_script({"a": "</script><!--", "b": [float("nan"), 0.1234567891]})
    assert "<" not in text and json.loads(text) == {"a": "</script><!--", "b": [None, 0.123457]}


def test_tables_by_name_can_be_sorted():
    first = {"class": "b", "precision": 0.5, "support": 3}
    nothing = {"class": "a", "precision": float("nan"), "support": 10}
    heads, rows = by_name_table([first, nothing])
    assert heads == ["class", "precision", "support"]
    assert [[cell.text for cell in row] for row in rows] == [["b", "50.0%", "3"], ["a", "", "10"]]
    assert rows[1][1].key == float("-inf") and rows[1][2].key == 10


def test_pairs_that_are_confused_most_come_first():
    matrix = np.array([[5, 1, 0], [4, 5, 2], [0, 0, 9]])
    assert confused_pairs(matrix, "abc", 2) == [("b", "a", "4"), ("b", "c", "2")]


def test_facts_of_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match="is not there; give a run folder"):
        RunFacts.of(tmp_path / "no")
    with pytest.raises(UserError, match=r"is no run folder: it has no recipe\.json"):
        RunFacts.of(tmp_path)


def command(capsys, *words):
    main(["report", *map(str, words)])
    return capsys.readouterr().out


def test_the_command_writes_a_page_and_a_card(run, tmp_path, capsys):
    out, card = tmp_path / "a" / "out.html", tmp_path / "card.md"
    said = command(capsys, run, "--output", out, "--card", card)
    assert "out.html" in said and "card.md" in said
    assert out.stat().st_size < 300_000
    text = card.read_text()
    assert "# \\<i\\>hostile\\</i\\>" in text and "## Use and limits" in text
    assert "<script>" not in text and "**test accuracy: " in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(re.sub(r"\\\|", "", line).count("|") in (4, 6) for line in rows), rows
    for file in (out, card):  # they are ours, and may be written again
        check_output("--output", file, overwrite=False)


def test_what_is_no_report_is_not_written_over(run, tmp_path, capsys):
    out = tmp_path / "mine.html"
    out.write_text("<p>mine")
    with pytest.raises(SystemExit):
        main(["report", str(run), "--output", str(out)])
    assert "is there already, and is no report" in capsys.readouterr().err
    assert out.read_text() == "<p>mine"
    check_output("--output", out, overwrite=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no run is given: cnn-jax report RUN..."),
        (["nowhere"], "nowhere is not there; give a run folder"),
        (["RUN", "--mistakes", "0"], "--mistakes 0 must be at least 1"),
        (["RUN", "--output", "."], "--output . is a folder; give a file"),
        (["RUN", "--view", "mine"], "--view mine is not written FILE.py:NAME"),
    ],
)
def test_what_cannot_be_asked_for_is_told(run, words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["report", *(str(run) if word == "RUN" else word for word in words)])
    assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_without_the_libraries_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(SystemExit):
        main(["report", str(run)])
    assert "vl_convert is not installed: pip install 'cnn-jax[report]'" in capsys.readouterr().err
