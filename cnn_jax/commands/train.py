"""The command that trains: an experiment's file, or a task on one's own data."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cnn_jax.commands.command_line import quiet_libraries
from cnn_jax.commands.experiment_line import read_launch, run_experiment
from cnn_jax.commands.given_words import StrayWord
from cnn_jax.commands.output import show
from cnn_jax.commands.recipe_file import read_experiment
from cnn_jax.defaults.facts import Chosen
from cnn_jax.defaults.recipes import DEFAULTS, Default
from cnn_jax.errors import UserError, shown_to_user
from cnn_jax.interruption import importing
from cnn_jax.json_values import differences, to_json
from cnn_jax.output_streams import forgiving_output
from cnn_jax.recipe import Data, Model, Recipe
from cnn_jax.runs.launch_options import Launch
from cnn_jax.user_path import user_path

_FOLDER = Path("experiments")

_KINDS = (
    "give the data: --data.name folder:PATH (one folder a class), csv:FILE (a table of image files "
    "with classes, tags or numbers), npz:FILE (arrays), series:PATH, text:PATH, sound:PATH, "
    "video:PATH, masks:PATH, coco:PATH, voc:PATH, yolo:PATH, or the name of a set (cnn-jax data "
    "list)"
)

_FILES = {
    "folder": {".csv": "csv", ".tsv": "csv", ".npz": "npz"},
    "voc": {".json": "coco", ".yaml": "yolo", ".yml": "yolo"},
}
"""What stands before the colon for files of these endings, where it is not as for a folder."""


def train(words: Sequence[str]) -> None:
    """Carries out `cnn-jax train TASK|FILE ...`; ends the process on an error.

    Args:
      words: what follows `train`.
    """
    if words and words[0] in DEFAULTS:
        _train_task(words[0], words[1:])
        return
    with forgiving_output(), shown_to_user():
        if not words or words[0] in ("-h", "--help"):
            _help()
            if words:
                sys.exit(0)
            raise UserError("what to train is needed: a task, or the file of an experiment")
        what, *rest = words
        if what.startswith("-"):
            raise UserError(
                f"the task or file comes before the flags: cnn-jax train TASK|FILE {what} ..."
            )
        recipe, about = read_experiment(experiment_file(what))
    run_experiment(recipe, rest, name=f"cnn-jax train {what}", about=about)


def _train_task(task: str, words: Sequence[str]) -> None:
    quiet_libraries()
    with forgiving_output(), shown_to_user():
        launch, start = default_launch(task, words)
    with importing():
        from cnn_jax.runs.launched import carry_out
    carry_out(launch, start.recipe, words, [start.why])


def experiment_file(what: str) -> Path:
    """The file of an experiment that a word names.

    Args:
      what: a file, or the name of one in ./experiments or here, without `.py`.

    Raises:
      UserError: there is none.
    """
    path = user_path(what)
    for file in (path, _FOLDER / f"{what}.py", Path(f"{what}.py")):
        if file.is_file():
            return file
    names = {file.stem for file in _FOLDER.glob("*.py")} if _FOLDER.is_dir() else set()
    here = {file.name for file in (path.parent if path.suffix else Path()).glob("*.py")}
    near = difflib.get_close_matches(path.name, sorted({*DEFAULTS, *names, *here}), n=3, cutoff=0.5)
    told = f"; did you mean {' or '.join(near)}?" if near else "."
    raise UserError(
        f"{what} is no task, no file, and no experiment in ./{_FOLDER}{told} Tasks: "
        f"{', '.join(DEFAULTS)}"
    )


def default_launch(task: str, words: Sequence[str]) -> tuple[Launch, Chosen]:
    """What a task's default recipe becomes on the data and with the flags of a command line.

    With a model, or a body, of which no weights of ImageNet are known, it begins at random.

    Args:
      task: one of `DEFAULTS`.
      words: what follows it.

    Raises:
      UserError: data are not given or cannot be read, a word has no place, or the weights cannot
        be had.
    """
    default, name = DEFAULTS[task], f"cnn-jax train {task}"
    plain = default.choose(task, task, Data(""), None, None)
    about = _about(task, default)
    try:
        first = read_launch(plain.recipe, words, name=name, about=about)
    except StrayWord as error:
        raise _without_flag(error, default, name) from None
    data = first.recipe.data
    if not data.name:
        raise UserError(_KINDS)
    # None: it is left to the facts of the data.
    weights, changed = None, _given(words, "model.name", "model.options")
    if changed and not _published(first.recipe.model, plain.recipe.init.body):
        weights = False
    elif _given(words, "init-from", "init.source"):
        weights = first.recipe.init.source is not None
    with importing():
        from cnn_jax.tasks import target_kind
    facts = default.facts(data, target_kind(first.recipe), first.data_dir)
    found = default.choose(task, _run_name(task, data.name), Data(data.name), facts, weights)
    launch = read_launch(found.recipe, words, name=name, about=about)
    if launch.recipe.init.source == "imagenet":
        _check_weights(launch.recipe)
    if changed_fields := _changed(found.recipe, launch.recipe):
        told = ", ".join(changed_fields)
        found = found._replace(why=f"{found.why}. Flags given change it: {told}")
    return launch, found


def _changed(default: Recipe, given: Recipe) -> list[str]:
    """The fields that flags give another value than a default recipe, such as `model.name`.

    Those of data are left out: the recipe was chosen with them.
    """
    lines = differences(to_json(default), to_json(given))
    paths = (line.partition(":")[0].split(".") for line in lines)
    return list(dict.fromkeys(".".join(path[:2]) for path in paths if path[0] != "data"))


def _without_flag(error: StrayWord, default: Default, name: str) -> UserError:
    """The error for a word behind a task: most often data, which have a flag."""
    if error.near or error.word.startswith("-"):
        return error
    form, word = default.data.partition(":")[0], error.word
    form = _FILES.get(form, {}).get(Path(word).suffix.lower(), form)
    such = word if ":" in word else f"{form}:{word}"
    if re.fullmatch(r"\w+", word) and not user_path(word).exists():
        such += f", or {word} if that is a set which cnn-jax data list names"
    return UserError(
        f"unexpected word {word!r}: {name} takes flags only; give data as --data.name {such}"
    )


def _published(model: Model, body: bool) -> bool:
    """Whether a model, or its body, has weights of ImageNet to begin with."""
    with importing():
        from cnn_jax.pretrained.body_weights import find_body
        from cnn_jax.pretrained.published import PUBLISHED
    return (find_body(model) if body else model.name) in PUBLISHED


def _check_weights(recipe: Recipe) -> None:
    with importing():
        from cnn_jax.pretrained.body_weights import body_name
        from cnn_jax.pretrained.published import weights_file
    try:
        weights_file(body_name(recipe.model) if recipe.init.body else recipe.model.name)
    except UserError as error:
        raise UserError(
            f"{error}\nThe default recipe begins with ImageNet's weights; --init-from none begins "
            "at random instead, which on few pictures tells much less."
        ) from None


def _given(words: Sequence[str], *flags: str) -> bool:
    given = {word.partition("=")[0].replace("_", "-") for word in words}
    return any(f"--{flag}" in given for flag in flags)


def _run_name(task: str, data: str) -> str:
    """The name of a run on some data, such as `photos_classification`."""
    form, colon, path = data.partition(":")
    stem = Path(path).resolve().stem if colon and path else form
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', stem).strip('_') or form}_{task}"


def _about(task: str, default: Default) -> str:
    return (
        f"Predict {default.learns}, with a default recipe that is chosen for your data: "
        f"cnn-jax train {task} --data.name {default.data} --workdir runs/mine. The defaults below "
        "are for a few hundred to a thousand examples; the first line of the run prints what was "
        "chosen for yours."
    )


def _help() -> None:
    widest = max(map(len, DEFAULTS))
    show(
        [
            ("bold", "usage: cnn-jax train TASK|FILE [flags]"),
            ("", ""),
            ("", "Train a task on your own data, with a default recipe that is chosen for them:"),
            ("", ""),
            *(("", f"  {name:<{widest}}  {each.learns}") for name, each in DEFAULTS.items()),
            ("", ""),
            ("", f"or an experiment: a Python file with a `recipe`, or its name in ./{_FOLDER}."),
            ("", "`cnn-jax train TASK --help` and `cnn-jax train FILE --help` list the flags."),
        ]
    )
