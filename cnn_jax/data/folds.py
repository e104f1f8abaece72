"""Cross-validation: a set dealt into folds, each of which is the test part of one run."""

from __future__ import annotations

import dataclasses

import numpy as np

from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.splits import NO_TEST
from cnn_jax.data.strata import strata
from cnn_jax.errors import UserError

_SEED = 20_261
"""Of the rule, not of a run: every seed and every recipe sees the same folds."""


def folds_of(examples: Examples, folds: int) -> np.ndarray:
    """The fold of each example, (n,) int from 0.

    Groups stay whole. In a shuffled order, large groups first, each goes to the fold that has the
    fewest examples of its classes, and of those to the smallest. So classes come to all folds in
    proportion, and without groups folds differ by a few examples at most.

    Args:
      examples: n of them.
      folds: how many.

    Raises:
      UserError: there are fewer examples or groups than folds.
    """
    groups = np.arange(len(examples)) if examples.groups is None else examples.groups
    known, member = np.unique(groups, return_inverse=True)
    if folds > len(known):
        what = "examples" if examples.groups is None else "groups"
        raise UserError(
            f"--data.folds {folds}: there are {len(known)} {what} only, and each fold needs one"
        )
    kinds, stratum = np.unique(strata(examples.targets), return_inverse=True)
    # How many of each class are in each group, as rows.
    held = np.zeros((len(known), len(kinds)), np.int64)
    np.add.at(held, (member, stratum), 1)
    bits = np.random.PCG64(_SEED).random_raw(len(known))
    order = np.lexsort((bits, -held.sum(axis=1)))
    filled = np.zeros((folds, len(kinds)), np.int64)
    fold_of_group = np.empty(len(known), np.int64)
    for group in order:
        alike, sizes = filled @ held[group], filled.sum(axis=1)
        best = np.lexsort((sizes, alike))[0]
        fold_of_group[group] = best
        filled[best] += held[group]
    return fold_of_group[member]


def with_fold(dataset: Dataset, folds: int, fold: int) -> Dataset:
    """The data set with one of its folds as test part, and the others to learn from.

    Args:
      dataset: without a test part; folds that it comes with are kept.
      folds: how many there are, at least 2.
      fold: which is tested, from 1.

    Raises:
      UserError: there is no such fold, the set comes with another number of them, or it has a test
        or a validation part of its own.
    """
    if folds < 2:
        raise UserError(f"--data.folds {folds} must be at least 2")
    if not 1 <= fold <= folds:
        raise UserError(f"--data.fold {fold} must be from 1 to the {folds} of --data.folds")
    own = [part for part in ("validation", "test") if getattr(dataset, part) is not None]
    if own:
        raise UserError(
            f"--data.folds {folds}: {dataset.name} has a {' and a '.join(own)} part of its own, so "
            "that it is not dealt into folds; leave --data.folds out"
        )
    if dataset.folds is not None:
        if folds != len(dataset.fold_names):
            raise UserError(
                f"--data.folds {folds}: {dataset.name} comes with {len(dataset.fold_names)} folds, "
                f"{', '.join(dataset.fold_names)}; give --data.folds {len(dataset.fold_names)}"
            )
        place = dataset.folds
    else:
        place = folds_of(dataset.train, folds)
    train, test = (np.flatnonzero(which) for which in (place != fold - 1, place == fold - 1))
    rule = " dealt by a fixed rule, classes in proportion"
    if dataset.folds is not None:
        rule = f", those that the set calls {dataset.fold_names[fold - 1]}"
    elif dataset.train.groups is not None:
        rule = " dealt by a fixed rule, whole groups"
    note = f"the test part is fold {fold} of {folds}, {len(test):,} examples{rule}"
    return dataclasses.replace(
        dataset,
        train=dataset.train.take(train),
        test=dataset.train.take(test),
        folds=None,
        fold="" if dataset.folds is None else dataset.fold_names[fold - 1],
        notes=(*(each for each in dataset.notes if each != NO_TEST), note),
    )
