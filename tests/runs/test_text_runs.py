"""Whole runs on texts: learnt, stopped, evaluated, told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import Checkpoints, Data, Model, Optimizer, Preprocess, UserError, load, steps, train
from cnn_jax.__main__ import main as command
from cnn_jax.defaults.text_recipe import choose_for_texts, text_facts
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict_text import deciding_windows, predict_texts, tokens_of
from cnn_jax.inside.attention import attention
from cnn_jax.inside.examples import of_user
from cnn_jax.inside.net import net_of
from cnn_jax.report.page.thumbnails import decided
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)
RANDOM = np.random.default_rng(0)
FILLERS = ["the", "a", "of", "film", "and", "it", "is", "was", "plot", "who"]


def sentence(label):
    words = list(RANDOM.choice(FILLERS, RANDOM.integers(2, 9)))
    words.insert(int(RANDOM.integers(len(words))), ("awful", "great")[label])
    return " ".join(words)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Sentences that one word decides."""
    file = tmp_path_factory.mktemp("texts") / "films.tsv"
    rows = [f"{('bad', 'good')[place % 2]}\t{sentence(place % 2)}\n" for place in range(200)]
    file.write_text("label\ttext\n" + "".join(rows))
    return file


@pytest.fixture(scope="module")
def trained(tiny, changed, table, tmp_path_factory):
    """A recipe, its experiment, the folder of a run, and its summary."""
    fields = {
        "name": "films",
        "data": Data(f"text:{table}", validation=20),
        "augment": type(tiny.augment)(),
        "model": Model(
            "text_cnn", options={"embedding": 8, "maps": 4, "windows": (2, 3), "dropout": 0.2}
        ),
        "optimizer": Optimizer("adam", learning_rate=0.05, max_norm=("^head/kernel$=3",)),
        "batch_size": 32,
        "duration": steps(24),
        "validate_every": steps(6),
        "checkpoints": Checkpoints(every=steps(6)),
        "ema": None,
    }
    recipe = changed(tiny, fields)
    experiment = Experiment.of(recipe)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return recipe, experiment, folder, train(recipe, folder, console=QUIET, experiment=experiment)


def test_a_run_learns_and_keeps_its_vocabulary(trained):
    _, experiment, folder, summary = trained
    assert summary["test"]["accuracy"] > 0.9 and summary["test"]["examples"] >= 20
    stored = json.loads((folder / "data.json").read_text())
    assert set(stored["words"]) == {*FILLERS, "awful", "great"}
    vectors = experiment.program.abstract_state.params["words"]["vectors"]
    assert vectors.shape == (14, 8)
    head = np.asarray(restore(folder).variables["params"]["head"]["kernel"])
    assert (np.linalg.norm(head, axis=0) <= 3 * (1 + 1e-6)).all()


def test_stopped_in_its_midst_it_goes_on_to_the_same_numbers(trained, tmp_path, monkeypatch):
    recipe, experiment, _, whole = trained
    plain, made = experiment.program.train_step, []

    def counted(*arguments):
        made.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(experiment.program, "train_step", counted)
    monkeypatch.setattr(StopRequest, "__call__", lambda self: len(made) >= 2)
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "cut", console=QUIET, experiment=experiment)
    monkeypatch.undo()
    again = train(recipe, tmp_path / "cut", console=QUIET, experiment=experiment)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]


def test_its_own_test_part_is_known_by_its_texts(trained, table):
    _, _, folder, summary = trained
    found = evaluate(folder)
    for name, value in summary["test"].items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    # Lines that have come since change neither the vocabulary nor the part.
    before = table.read_text()
    try:
        table.write_text(before + "good\ta masterpiece beyond words , never seen before\n" * 30)
        again = evaluate(folder)
    finally:
        table.write_text(before)
    assert again["examples"] == found["examples"]
    assert again["accuracy"] == found["accuracy"]


def test_other_texts_are_judged_in_the_words_that_it_knows(trained, tmp_path):
    _, _, folder, _ = trained
    for label, word in (("good", "great"), ("bad", "awful")):
        lines = [f"unheard {word} of {place} film" for place in range(3)]
        (tmp_path / f"{label}.txt").write_text("\n".join([*lines, f"{word} " * 40]))
    found = evaluate(folder, dataset=f"text:{tmp_path}")
    assert found["examples"] == 8 and found["accuracy"] == 1
    assert any("2 of 8 texts are cut" in note for note in found["notes"])
    (tmp_path / "test.tsv").write_text("text\tlabel\nunheard great film\tgood\n")
    found = evaluate(folder, dataset=f"text:{tmp_path / 'test.tsv'}")  # of one class
    assert (found["examples"], found["accuracy"]) == (1, 1)
    (tmp_path / "test.tsv").unlink()
    (tmp_path / "so-so.txt").write_text("a film")
    with pytest.raises(UserError, match="classes that the model does not know: 'so-so'"):
        evaluate(folder, dataset=f"text:{tmp_path}")
    with pytest.raises(UserError, match="tokens"):
        evaluate(folder, dataset="digits")


def test_texts_are_told_with_the_windows_that_decided(trained, tmp_path, capsys, monkeypatch):
    _, _, folder, _ = trained
    restored = restore(folder)
    good, bad = predict_texts(restored, ["Who is GREAT, unheard?", "the plot was awful"])
    assert (good.classes[0], bad.classes[0]) == ("good", "bad")
    assert good.probabilities[0] > 0.6 and sum(good.probabilities) == pytest.approx(1)
    first = deciding_windows(restored, ["the plot was awful of a unheard"])[0][0]
    assert "awful" in first.words and first.share > 0
    # A report shows the same of the words that a model is given.
    windows = deciding_windows(restored, ["the plot was awful"])[0]
    in_report = decided(restored, tokens_of(restored, ["the plot was awful"]))
    assert in_report == [tuple(each.words for each in windows)] and "awful" in in_report[0][0]
    model = load(folder)
    assert model.predict("Who is GREAT, unheard?").classes == good.classes
    assert model.answers(["the plot was awful"])[0, 0] == pytest.approx(bad.probabilities[0])
    with pytest.raises(UserError, match="was trained on texts: give one, or a list of them"):
        model.predict(np.zeros((2, 3)))

    (tmp_path / "lines.txt").write_text("great film\n\nawful film\n")
    run = str(folder)
    command(["predict", run, "a great plot", str(tmp_path / "lines.txt"), "--json", "--top", "1"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in rows] == ["a great plot", "great film", "awful film"]
    assert [row["classes"] for row in rows] == [["good"], ["good"], ["bad"]]
    assert "great" in rows[0]["windows"][0]["words"]
    command(["predict", run, "a great plot" + " of" * 20])
    shown = capsys.readouterr().out
    assert "1 of 1 texts are cut after" in shown
    assert "text" in shown and "good" in shown and "decided by: " in shown
    with pytest.raises(SystemExit):
        command(["predict", run, str(tmp_path)])
    assert "is a folder; give a text" in capsys.readouterr().err


def test_texts_are_told_of_a_column_of_a_table(trained, tmp_path, capsys):
    run = str(trained[2])
    for name, content, column in (
        ("a.tsv", "label\ttext\nbad\tgreat film\n", "text"),
        ("a.csv", 'text,label\n"great film",bad\n', "text"),
        ("b.tsv", "bad\tgreat film\nbad\tgreat film\n", "2"),
        ("b.csv", "great film\ngreat, great film\n", None),
    ):
        (tmp_path / name).write_text(content)
        command(["predict", run, str(tmp_path / name), "--json"])
        said = capsys.readouterr()
        assert json.loads(said.out)[0]["text"] == "great film"
        assert (f"the texts are those of column {column}" in said.err) == (column is not None)
    with pytest.raises(SystemExit) as stopped:
        command(["predict", run, str(tmp_path / "none.txt")])
    assert stopped.value.code == 2 and "there is no such file" in capsys.readouterr().err
    command(["predict", run, "a great film.txt"])  # a text


def test_what_is_for_images_or_follows_from_the_data_is_refused(trained, changed):
    recipe, _, _, _ = trained
    for fields, said in (
        ({"preprocess": Preprocess(size=8)}, "--preprocess.size is for images"),
        ({"views": "mirror"}, "--views mirror is for images"),
        ({"data.image_size": 8}, "--data.image-size is for images, and text:.* has texts"),
        ({"model": Model("lenet5_relu")}, "lenet5_relu takes .*image.* models .* text_cnn"),
        ({"model": Model("text_cnn", options={"vocabulary": 9})}, "it follows from the data"),
        ({"data.name": "digits"}, "text_cnn takes .*tokens"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=said):
            Experiment.of(changed(recipe, fields))


def test_texts_are_described_and_shown(table, capsys):
    command(["data", "info", f"text:{table}", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["vocabulary"] == 12 and found["class_names"] == ["bad", "good"]
    command(["data", "info", f"text:{table}"])
    assert "train lengths" in capsys.readouterr().out
    command(["data", "show", f"text:{table}", "--examples", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.startswith(("good: ", "bad: ")) for line in lines)


def test_the_default_recipe_suits_the_texts(table, tmp_path):
    facts = text_facts(Data(f"text:{table}"))
    assert (facts.kind, facts.targets, facts.words) == ("class", 2, 12)
    recipe, why = choose_for_texts("text", "films", Data(f"text:{table}"), facts)
    assert recipe.optimizer.name == "adadelta" and recipe.duration.amount == 25
    assert "texts of up to" in why and "uneven" not in why
    large = facts._replace(examples=1_000_000, largest=0.9, smallest=0.1)
    recipe, why = choose_for_texts("text", "films", Data(f"text:{table}"), large)
    assert recipe.duration.amount == 3 and "fewer than" in why and "90.0%" in why
    numbers = "".join(f"{place / 7:.3f}\t{sentence(0)}\n" for place in range(40))
    (tmp_path / "n.tsv").write_text("score\ttext\n" + numbers)
    facts = text_facts(Data(f"text:{tmp_path / 'n.tsv'}"))
    assert facts.kind == "number"
    chosen = choose_for_texts("text", "n", Data(f"text:{tmp_path / 'n.tsv'}"), facts).recipe
    assert chosen.task.name == "regression"
    with pytest.raises(UserError, match="is no set of texts"):
        text_facts(Data("digits"))


def test_the_words_that_decided_are_drawn(trained, tmp_path, capsys):
    folder, file = trained[2], tmp_path / "a.png"
    command(["show", "attention", str(folder), "a great film", "--output", str(file)])
    said = capsys.readouterr().out
    assert "hires_cam: at layer words" in said and "a.png: 1 texts" in said
    found = of_user(load(folder), restore(folder), [Path("a great film")])
    (words,) = attention(net_of(load(folder)), found.inputs, None, "words", "hires_cam").maps
    assert np.argmax(words) == 1 and words[3:].max() == 0
    with Image.open(file) as picture:
        assert picture.width == 720
    command(["show", "mistakes", str(folder), "--output", str(tmp_path / "m.png")])
    with pytest.raises(SystemExit):
        command(["show", "walk", str(folder)])
    assert "cnn-jax show walk is for models of images" in capsys.readouterr().err


def test_a_report_shows_texts_and_the_words_that_decide(trained, described):
    found = described(trained[2])
    assert all(each.shown.text and not each.shown.picture for each in found.samples)
    (first, *_) = found.attention.examples
    assert first.words and max(abs(word.level) for word in first.words) == 1
