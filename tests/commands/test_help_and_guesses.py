"""Help pages, short names, and what is said of a misspelt word; none of it waits for JAX."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_jax
from cnn_jax import Recipe, Schedule, UserError, epochs
from cnn_jax.__main__ import main, read_command
from cnn_jax.commands.experiment_line import MOST_USED, read_launch
from cnn_jax.commands.flags import field_docs, flags
from cnn_jax.commands.help_page import paragraphs
from cnn_jax.commands.names import COMMANDS, Command
from cnn_jax.commands.runs import Evaluate
from cnn_jax.optimisation.optimizer_change import with_own_rate
from cnn_jax.runs.launch_options import Launch


def read(*words, about=None):
    return read_launch(Recipe("x", duration=epochs(7)), words, name="x.py", about=about)


def test_help_begins_with_the_docstring_then_what_is_changed_most_then_groups(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        read("--help", about="What is learnt\nfrom what.\n\nCommand: python x.py\nTime: 1 s")
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "usage: x.py [flags]",
        "",
        "What is learnt from what.",
        "",
        "Command: python x.py",
        "Time: 1 s",
        "",
    ]
    heads = [line for line in lines if line.startswith("  -")]
    assert [head.split()[0].rstrip(",") for head in heads[:10]] == [
        *("--epochs", "--batch", "--lr", "--model.name", "--data.name", "--data.image-size"),
        *("--init-from", "--optimizer.name", "--seed", "--workdir"),
    ]
    assert heads[0] == "  --epochs, --duration DURATION  (default: 7 epochs)"
    titles = [line.partition(":")[0] for line in lines[7:] if line and line[0] != " "]
    assert titles[:3] == ["changed most", "this run", "data"]
    assert len(titles) == len(set(titles))
    # Every flag stands there once.
    every = [flag.names[0] for flag in flags(Launch)]
    assert sorted(head.split()[0].rstrip(",") for head in heads) == sorted(every)
    assert max(map(len, lines)) <= 100


def test_lines_of_a_paragraph_are_joined_and_commands_stay():
    text = "One net\non a set.\n\nFrom scratch it is\n\n"
    text += "    python x.py \\\n        --lr 1\n\nTime: 1 s\nor 2"
    assert paragraphs(text) == [
        "One net on a set.", "", "From scratch it is", "",
        "    python x.py \\", "        --lr 1", "", "Time: 1 s or 2",
    ]  # fmt: skip


def test_every_flag_says_what_it_means():
    kinds = [each.load() for each in COMMANDS.values() if isinstance(each, Command)]
    for group in COMMANDS.values():
        if not isinstance(group, Command):
            kinds += [each.load() for each in group.values()]
    for kind in (Launch, *kinds):
        assert [flag.path for flag in flags(kind) if not flag.says] == []
    assert field_docs(Evaluate)["checkpoint"] == (
        "Which checkpoint: best, latest, or a step such as 500. Without validation, best is the "
        "latest."
    )


def test_a_group_is_described_by_the_string_below_its_field_or_else_by_its_docstring():
    groups = [{flag.path: flag.group for flag in flags(kind)} for kind in (Launch, Evaluate)]
    assert [each["task.name"] for each in groups] == [
        ("task", "What the model is trained for."),
        ("task", "With --weights: what they were trained for."),
    ]


def test_a_word_that_may_be_left_out_is_in_brackets(capsys):
    for words, usage in (
        (["evaluate", "--help"], "cnn-jax evaluate [RUN] [flags]"),
        (["show", "features", "--help"], "cnn-jax show features RUN [IMAGE] [flags]"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert capsys.readouterr().out.splitlines()[0] == f"usage: {usage}"


def test_short_names():
    launch = read("--lr", "0.5", "--batch", "16", "--epochs", "3")
    assert launch.recipe.optimizer.learning_rate == 0.5
    assert launch.recipe.batch_size == 16
    assert launch.recipe.duration == epochs(3)
    words = ["--optimizer.name", "adam", "--lr", "0.5"]
    given = read(*words).recipe
    assert with_own_rate(Recipe("x"), given, words)[0].optimizer.learning_rate == 0.5


def test_no_weights_are_asked_for_by_a_word():
    assert read("--init-from", "none").recipe.init.source is None
    assert read("--init-from", "None").recipe.init.source is None
    assert read("--init-from", "runs/none").recipe.init.source == "runs/none"


@pytest.mark.parametrize("word", ["none", "None"])
def test_what_may_be_left_out_is_left_out_by_a_word(word):
    recipe = read("--ema", word, "--loss.name", word, "--data.image-size", word).recipe
    assert (recipe.ema, recipe.loss.name, recipe.data.image_size) == (None, None, None)
    assert read("--ema", "0.9").recipe.ema == 0.9


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--optimizer.lerning-rate", "--optimizer.learning-rate"),
        ("--learning-rate=0.1", "--optimizer.learning-rate"),
        ("--epoch", "--epochs"),
        ("--batchsize", "--batch-size"),
        ("--data.imagesize", "--data.image-size"),
        ("--image_size", "--data.image-size"),
        ("--work-dir", "--workdir"),
        ("--mirror", "--augment.mirror"),
    ],
)
def test_a_misspelt_flag_names_the_nearest(word, meant):
    with pytest.raises(
        UserError, match=f"unknown flag {word.partition('=')[0]}; did you mean .*{meant}"
    ):
        read(word, "3")


def test_what_is_no_misspelling_is_taken():
    assert read("--batch_size", "4", "--no-compilation-cache").recipe.batch_size == 4
    with pytest.raises(UserError, match=r"unknown flag --qqq\. --help"):
        read("--qqq")
    started = read_command(["launch", "-n", "3", "--", "x.py", "--epochs", "3", "--help"])
    assert started.command == ("x.py", "--epochs", "3", "--help")


@pytest.mark.parametrize(
    "words", [["--init.body", "True"], ["--init.body=False"], ["--init.no-body", "true"]]
)
def test_a_switch_with_a_value_says_how_it_is_given(words):
    with pytest.raises(UserError, match=r"give --init\.body or --init\.no-body alone"):
        read(*words)


def test_a_function_for_a_schedule_that_has_none_is_refused():
    with pytest.raises(UserError, match=r"only for --schedule\.name own, and not for cosine"):
        read("--schedule.own", "x.py:rate")
    recipe = Recipe("mine", schedule=Schedule(lambda step: 0.1))
    words = ["--schedule.name", "cosine"]
    assert read_launch(recipe, words, name="x", about=None).recipe.schedule.name == "cosine"


def test_no_message_gives_a_switch_a_value():
    switches = {name for flag in flags(Launch) if not flag.value for name in flag.names}
    assert "--data.full-depth" in switches
    wrong = []
    for file in Path(cnn_jax.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            # What stands in several lines is one string here.
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            said = " ".join(text for text in texts if isinstance(text, str))
            given = re.findall(r"(--[a-z][\w.-]*)[ =](?:True|False|true|false)\b", said)
            wrong += [f"{file}: {flag}" for flag in given if flag in switches]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "unknown command of cnn-jax: 'trian'; did you mean 'train'"),
        (["data", "lst"], "unknown command of cnn-jax data: 'lst'; did you mean 'list'"),
        (["evaluate", "r", "--chekpoint", "3"], "unknown flag --chekpoint; did you mean --check"),
        (["train", "clasification"], "did you mean classification"),
        (["train", "--epochs", "3"], "the task or file comes before the flags"),
        (["train"], "what to train is needed"),
        (
            ["train", "classification", "--epoch", "3"],
            "unknown flag --epoch; did you mean --epochs",
        ),
        (["new", "x", "--task", "taging"], "unknown task 'taging'; did you mean 'tagging'"),
        (["--hepl"], "unknown flag of cnn-jax: '--hepl'"),
    ],
)
def test_a_misspelt_word_names_the_nearest(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--lr abc", "--lr needs a number, not 'abc'"),
        ("--lr", "--lr needs a number after it"),
        ("--lr --seed 1", "--lr needs a number after it"),
        ("--batch=4.5", "--batch needs a whole number, not '4.5'"),
        ("--data.image_size 3,4", "--data.image-size needs a whole number or none, not '3,4'"),
        ("--ema high", "--ema needs a number or none, not 'high'"),
        ("--epochs", "--epochs needs a duration, such as 10epochs or 500steps, after it"),
        ("--epochs many", "'many' is no duration; valid are for instance 10, '10 epochs', "
         "500steps, '1e6 examples', 5%"),
        ("--augment.mirror randm", "unknown value of --augment.mirror: 'randm'; did you mean "
         "'random'? Valid: alternating, none, random."),
        ("--preprocess.mean 0.5 x", "--preprocess.mean needs numbers or none, not '0.5 x'"),
        ("--augment.crop-scale 0.5", "--augment.crop-scale needs 2 numbers or none, not '0.5'"),
        ("--workdir", "--workdir needs a path or none after it"),
    ],
)  # fmt: skip
def test_a_value_that_a_flag_does_not_take_is_told_in_one_line(words, said):
    with pytest.raises(UserError) as error:
        read(*words.split())
    assert str(error.value) == said


def test_values_that_flags_take():
    words = "--lr -1 --seed 3 --augment.crop-scale 0.5 1 --model.options widths=4, a=1 --ema=none"
    recipe = read(*words.split()).recipe
    assert (recipe.optimizer.learning_rate, recipe.seed, recipe.ema) == (-1, 3, None)
    assert recipe.augment.crop_scale == (0.5, 1)
    assert recipe.model.options == {"widths": (4,), "a": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("export", "no RUN is given: cnn-jax export RUN, where RUN is a run folder"),
        ("data show --output x.png", "no NAME is given: cnn-jax data show NAME, where NAME is"),
        ("predict --csv x.csv", "no RUN is given: cnn-jax predict RUN, where RUN is a run"),
        (
            "train segmentation photos",
            "'photos': .* takes flags only; .* --data.name masks:photos$",
        ),
        (
            "train classification digits --epochs 2",
            "--data.name folder:digits, or digits if that is a set",
        ),
        ("train detection a/b.json", "--data.name coco:a/b.json$"),
        ("train text text:a.tsv", "--data.name text:a.tsv$"),
        ("train series epochs=2", "'epochs=2': .* did you mean --epochs\\?$"),
        ("train segmentation -e 2", "unknown flag -e. --help lists all$"),
        ("data info digits extra", "'extra': cnn-jax data info takes NAME and flags only"),
        ("evaluate a b", "'b': cnn-jax evaluate takes RUN and flags only"),
        ("predict a b.png --json c.png", "'c.png': .* all IMAGES stand together"),
    ],
)
def test_a_word_too_many_is_named_in_one_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert re.search(said, told.strip()), told
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_help_and_wrong_words_import_no_jax():
    program = """
import contextlib, io, json, sys
from cnn_jax.__main__ import main
from cnn_jax.commands.names import COMMANDS, Command
names = [name for name, each in COMMANDS.items() if isinstance(each, Command)]
groups = [[name, inner] for name, each in COMMANDS.items() if name not in names for inner in each]
tries = [["--help"], ["data", "--help"], ["nonsense"], ["train", "nonsense"]]
tries += [[*words, flag] for words in [[name] for name in names] + groups
          for flag in ("--help", "--nonsense")]
tries += [["train", what, flag] for what in ("tagging", "experiments/digits_lenet5.py")
          for flag in ("--help", "--nonsense")]
slow = {}
for words in tries:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(words)
        except SystemExit as end:
            assert (end.code or 0) == (0 if words[-1] == "--help" else 2), words
    heavy = {"jax", "flax", "orbax", "optax", "numpy", "tensorflow_datasets", "PIL"}
    if heavy := heavy & set(sys.modules):
        slow[" ".join(words)] = sorted(heavy)
        break
print(json.dumps(slow))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_names_of_the_package_are_there_when_asked_for():
    assert set(cnn_jax.__all__) <= set(dir(cnn_jax))
    assert all(getattr(cnn_jax, name) is not None for name in cnn_jax.__all__)
    assert cnn_jax.models.names()
    with pytest.raises(AttributeError, match="no attribute 'Recipee'"):
        cnn_jax.Recipee  # noqa: B018


def test_the_fields_that_are_changed_most_are_there():
    assert set(MOST_USED) <= {flag.path for flag in flags(Launch)}
