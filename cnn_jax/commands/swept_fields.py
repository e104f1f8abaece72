"""Fields of a recipe with values as a command line gives them, checked by their types."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from cnn_jax.commands.experiment_line import read_launch
from cnn_jax.commands.flags import flags
from cnn_jax.errors import UserError, unknown
from cnn_jax.recipe import Recipe

_OPTIONS = "options"
_NOT_SWEPT = {"name": "it is the name of the runs", "seed": "give --seeds"}


def full_name(flag: str, given: str, recipe: Recipe) -> str:
    """The path of a field that is given by its path, its last word or the name of its flag.

    Args:
      flag: for messages.
      given: such as `optimizer.learning_rate`, `learning_rate`, `lr`, or `model.options.dropout`.
      recipe: whose field it is.

    Raises:
      UserError: there is none, there are several, or it is none to be swept.
    """
    name = given.replace("-", "_")
    known = list(flags(Recipe, recipe))
    paths = [each.path for each in known]
    head, options, option = name.partition(f".{_OPTIONS}.")
    if options and f"{head}.{_OPTIONS}" in paths and option.isidentifier():
        return name
    aliases = {word.lstrip("-").replace("-", "_"): f.path for f in known for word in f.names}
    ends = [path for path in paths if path.rpartition(".")[2] == name]
    found = name if name in paths else aliases.get(name)
    if found is None and len(ends) == 1:
        found = ends[0]
    if found is None and ends:
        raise UserError(f"{flag} {given} may be {' or '.join(ends)}; give one of them")
    if found is None:
        lasts = {path.rpartition(".")[2]: path for path in paths}
        near = difflib.get_close_matches(name, [*lasts, *aliases], n=1, cutoff=0.7)
        if near and not difflib.get_close_matches(name, paths, n=1, cutoff=0.5):
            path = lasts.get(near[0]) or aliases[near[0]]
            raise UserError(f"unknown field of a recipe: {flag} {given!r}; did you mean {path!r}?")
        raise unknown(f"field of a recipe: {flag}", given, paths)
    if found.rpartition(".")[2] == _OPTIONS:
        raise UserError(f"{flag} {given}: name one of the options, as {found}.NAME=VALUE")
    if found in _NOT_SWEPT:
        raise UserError(f"{flag} {given} is not swept: {_NOT_SWEPT[found]}")
    return found


def with_fields(recipe: Recipe, values: Mapping[str, str]) -> Recipe:
    """A recipe with other values of some fields.

    Args:
      recipe: that is changed.
      values: by path, as a command line gives them; several words of one field in brackets.

    Raises:
      UserError: a value is none that its field takes.
      SystemExit: the same, where the command line's reader has said so.
    """
    words: list[str] = []
    options: dict[str, list[str]] = {}
    for name, text in values.items():
        head, is_option, option = name.partition(f".{_OPTIONS}.")
        if is_option:
            options.setdefault(f"--{head}.{_OPTIONS}", []).append(f"{option}={text}")
        else:
            words += [f"--{name.replace('_', '-')}", *_words(text)]
    for flag, each in options.items():
        words += [flag, *each]
    switches = {each.path for each in flags(Recipe, recipe) if not each.value}
    words = _switched(words, switches)
    return read_launch(recipe, words, name="cnn-jax sweep", about=None).recipe


def _words(text: str) -> Sequence[str]:
    if text[:1] in "([" and text[-1:] in ")]":
        return text[1:-1].replace(",", " ").split()
    return [text]


def _switched(words: Sequence[str], switches: set[str]) -> list[str]:
    """Words in which a switch has no value: `--ema-on True` is `--ema-on`."""
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        path = word.removeprefix("--").replace("-", "_")
        if word.startswith("--") and path in switches:
            value = rest.pop(0).lower()
            if value not in ("true", "false"):
                raise UserError(f"{path}={value}: valid are True and False")
            head, _, last = path.replace("_", "-").rpartition(".")
            no = f"--{head}{'.' * bool(head)}no-{last}"
            found.append(word if value == "true" else no)
        else:
            found.append(word)
    return found


def short_name(name: str, names: Sequence[str]) -> str:
    """The last word of a field's path, where it says which of these fields is meant."""
    last = name.rpartition(".")[2]
    alone = sum(each.rpartition(".")[2] == last for each in names) == 1
    return last if alone and last != "name" else name
