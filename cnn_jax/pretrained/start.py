"""The weights that a recipe's run begins with."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
from flax import traverse_util

from cnn_jax.data.vocabulary import FIRST
from cnn_jax.devices.mesh import on_host
from cnn_jax.errors import UserError
from cnn_jax.pretrained.body_weights import body_name, load_body
from cnn_jax.pretrained.matching import HEAD, Report, paths
from cnn_jax.pretrained.published import IMAGENET, weights_file
from cnn_jax.pretrained.weights import Loaded, load
from cnn_jax.pretrained.word_vectors import read_word_vectors
from cnn_jax.recipe import Init, Recipe
from cnn_jax.state import Variables
from cnn_jax.training.program import Program
from cnn_jax.user_path import user_path


def initial_weights(recipe: Recipe, program: Program) -> Loaded | None:
    """What a recipe's `init` asks for, or None where its run begins at random.

    Args:
      recipe: whose `init` and seed count.
      program: of the same recipe.

    Raises:
      UserError: there are no such weights, or they do not fit the model.
    """
    init = recipe.init
    _check_fields(init)
    if init.words is not None:
        return _with_word_vectors(recipe, program)
    if init.source is None:
        return None
    path = user_path(init.source)
    if init.source == IMAGENET:
        path = weights_file(body_name(recipe.model) if init.body else recipe.model.name)
    template = on_host(program.mesh, program.init(recipe.seed).variables)
    names = None if init.names is None else user_path(init.names)
    code = [user_path(file) for file in init.code]
    if init.body:
        return load_body(
            path,
            recipe.model,
            template,
            names=names,
            matching=init.matching,
            checkpoint=init.checkpoint,
            code=code,
        )
    loaded = load(
        path,
        recipe.model.name,
        template,
        names=names,
        new_head=init.new_head,
        matching=init.matching,
        checkpoint=init.checkpoint,
        code=code,
    )
    return dataclasses.replace(loaded, variables=_with_silent_head(loaded))


_SWITCHES = ("matching", "body")


def _check_fields(init: Init) -> None:
    """Refuses fields that would change nothing.

    A new head without weights is none of them: default recipes ask for one, and a net that begins
    at random has it.
    """
    if init.source is None:
        for name in ("names", "code", *_SWITCHES):
            if getattr(init, name):
                how = f"--init.no-{name}" if name in _SWITCHES else "leave it out"
                raise UserError(
                    f"--init.{name} is for weights from elsewhere: give --init-from, or {how}"
                )
    if init.body and init.new_head:
        raise UserError(
            "--init.body loads no last layer, so that --init.new-head changes nothing: leave it "
            "out (--init.no-new-head). For all weights of the same model but the last layer's, "
            "leave out --init.body (--init.no-body)"
        )


def _with_silent_head(loaded: Loaded) -> Variables:
    """Variables in which the kernels of a new head are zero.

    Random ones are made for the many classes of a paper, or for features of unit variance: for few
    classes or a number, behind features that were learnt, the first loss is tens of times that of
    an even guess, and its gradients spoil the features. Dosovitskiy et al. 2021, section 3.2,
    https://arxiv.org/abs/2010.11929, begin at zero too.
    """
    every = {
        path: np.zeros_like(value)
        if path in loaded.report.kept and HEAD.fullmatch(path) and path.endswith("/kernel")
        else value
        for path, value in paths(loaded.variables).items()
    }
    empty: Variables = {collection: {} for collection in loaded.variables}
    return empty | traverse_util.unflatten_dict(every, sep="/")


_WORDS = "params/words/vectors"


def _with_word_vectors(recipe: Recipe, program: Program) -> Loaded:
    """Random variables in which the words that a file has begin with its vectors."""
    init, spec = recipe.init, program.spec
    assert init.words is not None
    if init.source is not None:
        raise UserError(
            "--init.words and --init-from both say what word vectors begin with: give one of them"
        )
    variables = on_host(program.mesh, program.init(recipe.seed).variables)
    every = paths(variables)
    if not spec.words or _WORDS not in every:
        raise UserError(
            f"--init.words is for models with word vectors, such as text_cnn on texts, and not for "
            f"{recipe.model.name} on {spec.name}"
        )
    file = user_path(init.words)
    places = {word: place for place, word in enumerate(spec.words, start=FIRST)}
    found = read_word_vectors(file, places)
    vectors, size = np.array(every[_WORDS]), found.vectors.shape[1]
    if vectors.shape[1] != size:
        raise UserError(
            f"--init.words {file} has vectors of {size} numbers, and {recipe.model.name} has "
            f"{vectors.shape[1]}; give --model.options embedding={size}"
        )
    vectors[found.places] = found.vectors
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    note = (
        f"{len(found.places):,} of the {len(places):,} words begin with the vectors of {file} "
        f"({len(found.places) / len(places):.1%}), the others at random"
    )
    tree = traverse_util.unflatten_dict({**every, _WORDS: vectors}, sep="/")
    empty: Variables = {collection: {} for collection in variables}
    report = Report(loaded=1, numbers=found.vectors.size)
    return Loaded(empty | tree, report, digest, str(file), note=note)
