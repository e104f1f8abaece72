"""`cnn-jax new`: a file for every task, which trains."""

import json
import wave

import numpy as np
import pytest
from drawn_objects import voc
from PIL import Image

from cnn_jax import Data, UserError
from cnn_jax.__main__ import main
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.commands.recipe_source import recipe_source
from cnn_jax.defaults.new_recipe import STARTS, new_recipe
from cnn_jax.defaults.recipes import DEFAULTS
from cnn_jax.pretrained.published import weights_file
from cnn_jax.tasks import target_kind

RANDOM = ["--init-from", "none"]
FEW = ["--model.name", "simple_cnn", "--model.options", "widths=4,", "hidden=8,"]
UNCHANGED = ["--augment.mirror", "none", "--ema", "none"]
for change in ("brightness", "contrast", "saturation"):
    UNCHANGED += [f"--augment.{change}", "0"]
WORDS = {
    "classification": ["--model.options", "widths=4,", "hidden=8,"],
    "binary": ["--data.image-size", "8", *RANDOM, *FEW],
    "tagging": ["--data.image-size", "8", *UNCHANGED, *RANDOM, *FEW],
    "regression": ["--data.image-size", "8", *UNCHANGED, *RANDOM, *FEW],
    "detection": [
        *("--augment.mosaic", "0", "--augment.crop-scale", "none", *UNCHANGED, *RANDOM),
        *("--init.no-body", "--data.image-size", "32", "--model.options", "body=simple_cnn"),
        *("body_options={'widths':(4,4,4)}", "at=8,", "channels=8", "head_depth=1"),
        "candidates=9",
    ],
    "segmentation": [
        *("--augment.crop-size", "none", "--augment.crop-scale", "none", *UNCHANGED, *RANDOM),
        *("--init.no-body", "--model.options", "body=simple_cnn", "finest=2", "width=2"),
        "body_options={'widths':(4,8)}",
    ],
    "series": ["--model.options", "depth=1", "width=2", "bottleneck=2"],
    "sound": [
        *("--sound.window", "0.5", "--sound.shift", "0", "--sound.stretch", "0"),
        *("--sound.time-masks", "0", "--sound.band-masks", "0"),
        *("--augment.mixup", "0", "--model.options", "widths=4,"),
    ],
    "video": [
        *("--data.examples", "40", "--augment.scale", "0", "--augment.pad-crop", "0", *UNCHANGED),
        *("--video.frames", "2", "--model.options", "width=2", "depths=1,1"),
    ],
    "text": ["--model.options", "embedding=4", "maps=2"],
}
"""What makes programs small that compile long; the slow test trains those of the files."""


def pictures(top):
    """Of 12 pictures the files, and how bright they are."""
    found = []
    for i, level in enumerate(np.linspace(20, 230, 12).astype(int)):
        file = top / ("dark" if i < 6 else "bright") / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), level, np.uint8)).save(file)
        found.append((f"{file.parent.name}/{file.name}", level))
    return found


def table(top, head, rows):
    file = top / "set.csv"
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


def series(top):
    for part, count in (("TRAIN", 8), ("TEST", 4)):
        rows = np.random.default_rng(0).normal(size=(count, 20)).round(3).tolist()
        lines = ["\t".join(map(str, (1 + i % 2, *row))) for i, row in enumerate(rows)]
        (top / f"toy_{part}.tsv").write_text("\n".join(lines) + "\n")
    return top


def sounds(top):
    for i in range(20):
        file = top / ("low" if i % 2 else "high") / f"{i}.wav"
        file.parent.mkdir(exist_ok=True)
        tone = np.sin(np.arange(8000) * (0.05 if i % 2 else 0.5)) * 9000
        with wave.open(str(file), "wb") as written_file:
            written_file.setparams((1, 2, 16_000, 0, "NONE", ""))
            written_file.writeframes(tone.astype("<i2").tobytes())
    return top


def drawn(task, top):
    """The name of a small set for a task, in an empty folder; None where the file has one."""
    match task:
        case "binary":
            pictures(top)
            return f"folder:{top}"
        case "tagging":
            rows = [
                f"{file},{'dark' if level < 100 else 'dark;red'}" for file, level in pictures(top)
            ]
            return f"csv:{table(top, 'file,tags', rows)}"
        case "regression":
            rows = [f"{file},{level / 255}" for file, level in pictures(top)]
            return f"csv:{table(top, 'file,brightness', rows)}"
        case "detection":
            return f"voc:{voc(top)}"
        case "segmentation":
            return "shapes:n=12,size=32"
        case "series":
            return f"series:{series(top)}"
        case "sound":
            return f"sound:{sounds(top)}"
        case "text":
            rows = [f"{'good' if i % 2 else 'bad'} film {i},{i % 2}" for i in range(30)]
            return f"text:{table(top, 'text,label', rows)}"
    return None


def trained(task, tmp_path, words):
    """The summary of two steps of the file of a task, as the command line runs it."""
    (tmp_path / "set").mkdir()
    main(["new", str(tmp_path / f"of_{task}"), "--task", task])
    name = drawn(task, tmp_path / "set")
    data = [] if name is None else ["--data.name", name]
    # A rise that is a part of two steps would be none, or all.
    rise = "1steps" if new_recipe(task, "x").recipe.schedule.name == "one_cycle" else "0"
    main(
        ["train", str(tmp_path / f"of_{task}.py"), *data, "--duration", "2steps", "--batch", "2",
         "--schedule.warmup", rise, "--workdir", str(tmp_path / "run"), *words]
    )  # fmt: skip
    return json.loads((tmp_path / "run" / "summary.json").read_text())


def test_every_task_has_a_file_of_its_own():
    assert set(STARTS) == set(DEFAULTS) == set(WORDS)


@pytest.mark.parametrize("task", list(DEFAULTS))
def test_a_file_holds_the_default_recipe_of_its_task(task, tmp_path, capsys):
    path = tmp_path / f"of_{task}.py"
    main(["new", str(path), "--task", task])
    said, text = capsys.readouterr().out, path.read_text()
    found = new_recipe(task, path.stem)
    assert read_recipe(path) == found.recipe
    place = ":FOLDER" in found.recipe.data.name or ":FILE" in found.recipe.data.name
    assert ("put your own data into it" in said) == place == (not found.ready)
    assert ("in the place of F" in text) == place
    assert max(map(len, text.partition("from cnn_jax")[2].splitlines())) <= 100
    with pytest.raises(SystemExit) as ended:
        main(["train", str(path), "--help"])
    assert ended.value.code == 0
    assert f"of_{task}: what is learnt from what, and why." in capsys.readouterr().out


@pytest.mark.parametrize("task", ["classification", "segmentation", "video"])
def test_drawn_sets_are_as_the_files_recipe_was_chosen_for(task):
    start = STARTS[task]
    assert new_recipe(task, "x").ready
    kind = target_kind(new_recipe(task, "x").recipe)
    found = DEFAULTS[task].facts(Data(start.data.name), kind, None)
    even = {"largest": None, "smallest": None} if hasattr(found, "largest") else {}
    assert found._replace(**even) == start.facts


@pytest.mark.parametrize("task", list(DEFAULTS))
def test_a_file_trains(task, tmp_path):
    summary = trained(task, tmp_path, WORDS[task])
    assert summary["steps"] == 2 and summary["test"]


# Tagging and regression have the net of binary; those of the others are only smaller above.
@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "detection", "segmentation", "sound", "video"])
def test_a_file_trains_with_its_own_net(task, tmp_path):
    if new_recipe(task, "x").recipe.init.source is not None:
        try:
            weights_file("efficientnet_lite0")
        except UserError as error:
            pytest.skip(str(error))
    assert trained(task, tmp_path, [])["steps"] == 2


def test_an_unknown_task_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["new", str(tmp_path / "x"), "--task", "sounds"])
    assert "did you mean 'sound'" in capsys.readouterr().err


def test_code_is_broken_where_it_is_too_long():
    recipe = new_recipe("segmentation", "a" * 40).recipe
    imports, text = recipe_source(recipe, {"task": "Why. " * 40})
    assert imports.startswith("from cnn_jax import (\n    Augment,\n")
    assert max(map(len, text.splitlines())) <= 100 and text.count("    # Why.") == 3
    space = {}
    exec(f"{imports}\nrecipe = {text}", space)
    assert space["recipe"] == recipe
