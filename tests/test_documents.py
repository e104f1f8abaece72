"""The documents: every command is run here or has its time beside it, and what they name exists."""

import ast
import fnmatch
import importlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest
import tyro
import yaml
from documents import (
    PAGES,
    ROOT,
    anchors,
    blocks,
    fenced_commands,
    inline_code,
    inline_commands,
    links,
    prose,
)
from PIL import Image
from published_counts import COUNTS

from cnn_jax import Recipe, models
from cnn_jax.__main__ import main, read_command
from cnn_jax.commands.command_line import flags_of, parse
from cnn_jax.commands.names import COMMANDS, Command
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.commands.train import experiment_file
from cnn_jax.defaults.recipes import DEFAULTS
from cnn_jax.errors import UserError
from cnn_jax.launch import Launch
from cnn_jax.launch import main as launch
from cnn_jax.models import registry

# What is run here; every other command has a time beside it.
EXECUTED = (
    "make help",
    "cnn-jax --help",
    "cnn-jax models",
    "cnn-jax models 'lenet5*'",
    "cnn-jax data list",
    "cnn-jax data info digits",
    "cnn-jax plan experiments/digits_lenet5.py --devices 8",
    "cnn-jax template slurm experiments/cifar10_resnet20.py --nodes 2 --gpus 8 --time 12:00:00",
    "cnn-jax template jobset experiments/cifar10_resnet20.py --nodes 2 --image IMAGE",
    "python experiments/digits_lenet5.py --help",
)
TIME = re.compile(r"\b\d+(\.\d+)? (s|min|h)\b|\bminutes\b|\bhours?\b|\bnot (run here|timed)\b")
# Of others, which are not looked into.
OTHERS_FLAGS = {"backend-store-uri", "logdir", "only"}
PLACEHOLDER = re.compile(r"^[A-Z]+\b|\.py\b")
FOREIGN = {"export", "gcloud", "kubectl", "pip", "pre-commit", "sbatch"}


def loaded(commands):
    """All commands by their words."""
    for command in commands.values():
        if isinstance(command, Command):
            yield command.load()
        else:
            yield from loaded(command)


COMMANDS_LOADED = list(loaded(COMMANDS))
# A duration is one word, not a flag for each of its fields.
FLAGS = {flag.removesuffix(".amount") for flag in flags_of(Launch)}
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A folder of its own, in which the experiments stand as in ours."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def test_every_command_is_run_here_or_has_its_time():
    commands = [command for page in PAGES for command in fenced_commands(page)]
    bare = [
        f"{command.page}: {command.text}"
        for command in commands
        if command.text not in EXECUTED
        and command.words[0] != "export"
        and not TIME.search(command.comment)
    ]
    assert not bare, bare
    assert set(EXECUTED) <= {command.text for command in commands}


@pytest.mark.parametrize("text", EXECUTED)
def test_a_command_runs(text, capsys):
    program, *words = [word.strip("'") for word in text.split()]
    if program == "make":
        done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
        assert "\ntrain " in done.stdout
        return
    status = 0
    try:
        if program == "cnn-jax":
            main(words)
        else:
            launch(read_recipe(Path(words[0])), words[1:])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_can_be_given_so(page, capsys):
    wrong = []
    for command in (*fenced_commands(page), *inline_commands(page)):
        try:
            check(list(command.words))
        except SystemExit as stopped:
            if stopped.code:
                wrong.append(f"{command.text}: {capsys.readouterr().err[-400:]}")
        except AssertionError as error:
            wrong.append(f"{command.text}: {error}")
    assert not wrong, "\n".join(wrong)


def check(words):
    """Asks whether a command is there and takes these words; nothing is carried out."""
    program = words.pop(0).removeprefix(".venv/bin/")
    if program == "cnn-jax":
        check_command(words)
    elif program == "python":
        check_python(words)
    elif program == "make":
        check_target(words)
    else:
        assert program in FOREIGN, f"{program} is not known"


def check_command(words):
    names = tuple(word for word in words[:2] if word.isalpha())
    if words[0] == "train":
        check_train(words[1:])
        return
    if names in (("data",), ("template",)) or not set(words) - set(names):
        words = [*words, "--help"]  # the text speaks of the command alone
    command = read_command(words)
    if isinstance(command, tuple):
        check_python(list(command))
    elif hasattr(command, "recipe"):
        assert command.recipe.is_file(), f"{command.recipe} is not there"


def check_train(words):
    what, *flags = words or ["--help"]
    if what in DEFAULTS or what == "--help" or what.isupper():
        parse(Launch, default=Launch(Recipe("any")), arguments=flags)
    elif what != "my_cnn.py":  # which the command before has written
        check_python([str(experiment_file(what)), *flags])


def check_python(words):
    if words[0] == "-m":
        module = words[1].replace(".", "/")
        assert words[1] == "pytest" or any(
            (ROOT / each).exists() for each in (f"{module}.py", f"{module}/__main__.py")
        ), f"{words[1]} is not there"
        missing = [word for word in words[2:] if not (ROOT / word).exists()]
        assert not missing, f"{missing} are not there"
        return
    if "NAME" in words[0]:
        return
    file = ROOT / words[0]
    assert file.is_file(), f"{words[0]} is not there"
    if file.parent.name == "experiments" and words[1:]:
        parse(Launch, default=Launch(read_recipe(file)), arguments=words[1:])


def check_target(words):
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    for target in targets:
        found = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.M)
        assert found, f"there is no target {target}"
        given = settings.get("ARGS", "").split()
        benchmark = re.search(r"benchmarks[./](\w+)", found[1])
        if given:
            assert benchmark, f"{target} takes no ARGS that are known here"
            package = ROOT / "benchmarks" / benchmark[1]
            module = f"benchmarks.{benchmark[1]}" + ".__main__" * package.is_dir()
            tyro.cli(importlib.import_module(module).Options, args=given)
    for setting in settings:
        assert re.search(rf"^{setting} \?=", MAKEFILE, re.M), f"{setting} is no setting"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_are_there(page):
    lost = []
    for link in links(page):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost, lost


def test_the_table_of_contents_has_every_page():
    there = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {"README.md"}
    assert there <= set(links(ROOT / "docs" / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_flags_names_and_files_exist(page):
    flags = FLAGS.union({"--help"}, *map(flags_of, COMMANDS_LOADED))
    used = set(re.findall(r"(?<![\w=-])--(?:no-)?([a-z][\w.-]*[a-z0-9])", prose(page)))
    unknown = used - {flag.removeprefix("--") for flag in flags} - OTHERS_FLAGS
    assert not unknown, unknown
    for dotted in set(re.findall(r"(?<![\w/])cnn_jax(?:\.\w+)+", page.read_text())):
        assert resolves(dotted), dotted
    rooms = ("cnn_jax/", "tests/", "benchmarks/", "experiments/", ".ci/")
    files = [code for code in inline_code(page) if code.startswith(rooms) and " " not in code]
    lost = [file for file in files if "NAME" not in file and not (ROOT / file).exists()]
    assert not lost, lost


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_flags_of_a_training_take_the_values_beside_them(page, capsys):
    wrong = []
    for code in inline_code(page):
        first, *after = shlex.split(code) if code.startswith("--") else [""]
        if not after or first not in FLAGS or any(map(PLACEHOLDER.search, after)):
            continue
        try:
            parse(Launch, default=Launch(Recipe("any")), arguments=[first, *after])
        except (SystemExit, UserError) as error:
            wrong.append(f"{code}: {error} {capsys.readouterr().err}")
    assert not wrong, "\n".join(wrong)


def resolves(dotted):
    """Whether there is such a module, or such a name in one."""
    if dotted in ("cnn_jax.egg",):
        return True
    parts = dotted.split(".")
    found = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:place]))
            except ImportError:
                return False
        found = getattr(found, part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_python_code_imports_is_there(page):
    for body in blocks(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


def test_the_code_of_the_readme_runs(monkeypatch, capsys):
    own, arrays = blocks(ROOT / "README.md", "python")
    space = {"__name__": "readme"}
    exec(own, space)
    model = space["recipe"].model
    module = models.create(model.name, 10, **model.options)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((2, 8, 8, 1), np.float32))
    assert shapes["params"]["conv2"]["kernel"].shape == (3, 3, 64, 64)

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    Image.fromarray(images[0, ..., 0]).save("face.png")
    space = {"images": images, "ages": random.uniform(1, 90, 60).astype(np.float32)}
    exec(arrays, space)
    assert isinstance(space["recipe"], Recipe)
    assert 0 < space["result"].metrics["mae"] < 90
    assert re.search(r"^\(-?\d+\.\d+,\)$", capsys.readouterr().out, re.M)


def test_code_of_models_and_recipes_is_sound():
    for page in ("models.md", "own_code.md", "recipes.md"):
        for body in blocks(ROOT / "docs" / page, "python"):
            space = {"__name__": "readme_of_docs"}
            exec(body, space)
            if "model" in space:
                assert models.create(space["model"].name, 10, widths=(8,)).widths == (8,)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 220


def test_the_table_of_models_has_all_with_their_counts():
    rows = re.findall(
        r"^\| `(\w+)` \| \S+ \| ([\d,]+) \|", (ROOT / "docs" / "models.md").read_text(), re.M
    )
    of_images = {name: COUNTS[name] for name in models.names("image") if name in COUNTS}
    assert {name: int(count.replace(",", "")) for name, count in rows} == of_images


def test_versions_and_licence_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    first = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first and first[1] == PROJECT["version"]
    assert PROJECT["license-files"] == ["LICENSE"]
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence


def test_commits_are_checked_as_make_lint_does():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"] for repository in hooks for hook in repository["hooks"]]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert lint
    assert entries == [
        line.strip().removeprefix("@").replace("$(VENV)", ".venv") for line in lint[1].splitlines()
    ]


def test_the_wheel_holds_what_is_no_python():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = patterns["package-data"]["cnn_jax"]
    package = ROOT / "cnn_jax"
    left = [
        str(file.relative_to(package))
        for file in package.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    ]
    assert {"py.typed", "commands/templates/slurm.sh", "commands/templates/jobset.yaml"} <= set(
        left
    )
    lost = [file for file in left if not any(fnmatch.fnmatch(file, each) for each in patterns)]
    assert not lost, lost
