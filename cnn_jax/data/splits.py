"""Parts cut from a split by a fixed, seeded, stratified rule."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.strata import strata, whole_groups
from cnn_jax.errors import UserError

E = TypeVar("E", bound=Examples)

_SEED = 20_260
"""Of the rule, not of a run: every seed and every recipe sees the same parts."""


def stratified(labels: np.ndarray, count: int, leave: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Places of the examples kept and of `count` examples cut, both rising.

    Every class gives its share, rounded by largest remainder, from a shuffled list of its
    examples, but never its last `leave` examples. scikit-learn's splitters draw from numpy's legacy
    generator in an order that its versions have changed; this rule uses nothing but PCG64's
    raw integers, so that a part stays the same for as long as results are compared.

    Args:
      labels: (n,) int.
      count: how many are cut.
      leave: how many examples of each class are kept at least.

    Raises:
      UserError: more are asked for than can be cut.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    most = int((sizes - leave).sum())
    if count > most:
        raise UserError(
            f"{count} of {len(labels)} examples cannot be cut, since one of each of the "
            f"{len(classes)} classes must be left to learn from; at most {most} can"
        )
    # In whole numbers, so that equal remainders are equal: of these the first class comes first.
    shares, remainders = np.divmod(sizes * count, len(labels))
    numbers = np.minimum(shares, sizes - leave)
    order = np.argsort(-remainders, kind="stable")
    while missing := count - int(numbers.sum()):
        able = order[numbers[order] < sizes[order] - leave]
        numbers[able[:missing]] += 1
    bits = np.random.PCG64(_SEED).random_raw(len(labels))
    cut = []
    for label, number in zip(classes, numbers, strict=True):
        places = np.flatnonzero(labels == label)
        cut.append(places[np.argsort(bits[places], kind="stable")[:number]])
    chosen = np.sort(np.concatenate(cut))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def cut(split: E, count: int) -> tuple[E, E]:
    """A split without, and only with, `count` examples chosen by `stratified`.

    Where there are groups these stay whole, and a few examples more may be cut.

    Raises:
      UserError: the groups are too few to cut one and leave one.
    """
    if split.groups is None:
        kept, chosen = stratified(strata(split.targets), count)
    else:
        kept, chosen = whole_groups(split.groups, count, _SEED)
        if not len(kept):
            raise UserError(
                f"{count} of {len(split)} examples cannot be cut without dividing a group: there "
                f"{'is' if len(set(split.groups.tolist())) == 1 else 'are'} only "
                f"{len(set(split.groups.tolist()))}"
            )
    return split.take(kept), split.take(chosen)  # type: ignore[return-value]


def with_validation(dataset: Dataset, validation: float) -> Dataset:
    """The data set with a validation part cut from train, where it has none of its own.

    Args:
      dataset: with or without a validation part.
      validation: a fraction of the training examples below 1, or a count; 0 cuts none.

    Raises:
      UserError: the part would be empty, or leave nothing to learn from.
    """
    if dataset.validation is not None or validation == 0:
        return dataset
    available = len(dataset.train)
    if not validation > 0 or (validation >= 1 and not float(validation).is_integer()):
        raise UserError(
            f"--data.validation {validation:g} must be a fraction between 0 and 1, a whole "
            "number of examples, or 0 for none"
        )
    count = round(validation * available) if validation < 1 else int(validation)
    if not 1 <= count < available:
        raise UserError(
            f"--data.validation {validation:g} of {dataset.name}'s {available} training examples "
            f"would hold out {count}; it must leave at least one on each side"
        )
    train, held_out = cut(dataset.train, count)
    return dataclasses.replace(dataset, train=train, validation=held_out)


def with_examples(dataset: Dataset, examples: int | None) -> Dataset:
    """The data set with so many of its training examples, classes in proportion; None: all.

    Raises:
      UserError: there are not so many.
    """
    if examples is None or examples == len(dataset.train):
        return dataset
    if not 1 <= examples < len(dataset.train):
        raise UserError(
            f"--data.examples {examples} must be between 1 and the {len(dataset.train)} training "
            f"examples of {dataset.name}"
        )
    # What is not chosen is not learnt from, so that nothing of a class need be left there.
    _, chosen = stratified(strata(dataset.train.targets), examples, leave=0)
    return dataclasses.replace(dataset, train=dataset.train.take(chosen))


TEST_FRACTION = 0.1
NO_TEST = "there is no test part: --data.test 0"


def cut_test(dataset: Dataset, part: float | None = None) -> Dataset:
    """The data set with the test part cut from train that it lacks, and a note of it.

    Args:
      dataset: with or without a test part.
      part: a fraction of the training examples below 1, or a count; 0 cuts none. By default a
        tenth.

    Raises:
      UserError: the part would be empty, or leave nothing to learn from.
    """
    if dataset.test is not None:
        own = f"--data.test {part or 0:g} is not used: {dataset.name} has a test part of its own"
        return _noted(dataset, own) if part is not None else dataset
    if part == 0:
        return _noted(dataset, NO_TEST)
    available = len(dataset.train)
    if part is not None and (not part > 0 or (part >= 1 and not float(part).is_integer())):
        raise UserError(
            f"--data.test {part:g} must be a fraction between 0 and 1, a whole number of examples, "
            "or 0 for none"
        )
    share = TEST_FRACTION if part is None else part
    count = round(share * available) if share < 1 else int(share)
    if not 1 <= count < available:
        raise UserError(
            f"{dataset.name} has no test part, and one of {count} cannot be cut from {available} "
            "examples; --data.test 0 learns from all"
        )
    train, test = cut(dataset.train, count)
    note = (
        f"the test part is {count} examples cut from train by a fixed stratified rule "
        "(--data.test 0: none)"
    )
    return _noted(dataclasses.replace(dataset, train=train, test=test), note)


def _noted(dataset: Dataset, note: str) -> Dataset:
    return dataclasses.replace(dataset, notes=(*dataset.notes, note))
