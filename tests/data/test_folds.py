import dataclasses

import numpy as np
import pytest

from cnn_jax import Data, UserError
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.folds import folds_of, with_fold
from cnn_jax.data.recipe_data import load_data
from cnn_jax.recipe import Columns


def split(labels, groups=None):
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    groups = None if groups is None else np.asarray(groups, np.int32)
    return Split(images, np.asarray(labels, np.int32), groups)


def dataset(examples):
    names = tuple(map(str, range(examples.labels.max() + 1)))
    return Dataset("toy", names, examples, None, None, "here")


def test_every_example_is_tested_once_and_classes_are_in_proportion():
    labels = np.repeat([0, 1, 2], [53, 30, 7])
    tested = []
    for fold in range(1, 6):
        found = with_fold(dataset(split(labels)), 5, fold)
        tested += found.test.images.ravel().tolist()
        assert len(found.train) + len(found.test) == 90
        assert not set(found.train.images.ravel()) & set(found.test.images.ravel())
        counts = np.bincount(found.test.labels, minlength=3)
        assert (np.abs(counts - np.array([53, 30, 7]) / 5) < 1).all()
        assert f"fold {fold} of 5, {len(found.test)} examples" in found.notes[-1]
    assert sorted(tested) == list(range(90))


def test_groups_stay_whole_and_a_fold_can_be_one_speaker():
    random = np.random.default_rng(0)
    speakers = np.repeat(np.arange(6), [20, 21, 19, 25, 15, 20])
    labels = random.integers(0, 10, len(speakers))
    folds = folds_of(split(labels, speakers), 6)
    assert sorted(len(set(folds[speakers == each])) for each in range(6)) == [1] * 6
    assert len(set(folds)) == 6
    pairs = np.repeat(np.arange(60), 2)
    folds = folds_of(split(np.repeat(np.arange(60) % 3, 2), pairs), 4)
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [30] * 4


def test_folds_never_change():
    assert folds_of(split([0, 1] * 6), 3).tolist() == [2, 1, 0, 2, 0, 0, 2, 2, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("folds", "fold", "said"),
    [
        (1, 1, "--data.folds 1 must be at least 2"),
        (3, 4, "--data.fold 4 must be from 1 to the 3 of --data.folds"),
        (20, 1, "there are 12 examples only, and each fold needs one"),
    ],
)
def test_folds_that_are_none_are_refused(folds, fold, said):
    with pytest.raises(UserError, match=said):
        with_fold(dataset(split([0, 1] * 6)), folds, fold)


def test_a_test_part_of_its_own_is_not_mixed_in():
    own = dataclasses.replace(dataset(split([0, 1] * 6)), test=split([0, 1]))
    with pytest.raises(UserError, match="toy has a test part of its own"):
        with_fold(own, 2, 1)


def test_a_recipe_names_its_fold_and_keeps_its_validation(tmp_path):
    random = np.random.default_rng(0)
    file = tmp_path / "set.npz"
    images = random.integers(0, 256, (40, 4, 4, 1)).astype(np.uint8)
    np.savez(file, images=images, labels=np.arange(40) % 4)
    tested = []
    for fold in (1, 2, 3, 4):
        found = load_data(Data(f"npz:{file}", folds=4, fold=fold, validation=0.2))
        assert [len(found.train), len(found.validation), len(found.test)] == [24, 6, 10]
        assert not any("--data.test" in note for note in found.notes)
        tested += [image.tobytes() for image in found.test.images]
    assert len(set(tested)) == 40
    with pytest.raises(UserError, match=r"leave out --data.test 0.2"):
        load_data(Data(f"npz:{file}", folds=4, test=0.2))


@pytest.mark.parametrize("by", ["speaker", "repeat"])
def test_texts_of_a_speaker_and_repeats_of_a_text_are_in_one_fold(tmp_path, by):
    speakers = np.arange(60) // 5
    said = [f"{'good' if each % 2 else 'bad'} film {each}" for each in range(60)]
    if by == "repeat":
        said = [f"film {speaker}" for speaker in speakers]
    rows = [
        f"{'ab'[place % 2]}\t{text}\ts{speaker}"
        for place, (text, speaker) in enumerate(zip(said, speakers, strict=True))
    ]
    (tmp_path / "t.tsv").write_text("label\ttext\twho\n" + "\n".join(rows))
    columns = Columns(group="who" if by == "speaker" else None)
    tested = []
    for fold in (1, 2, 3):
        data = Data(f"text:{tmp_path / 't.tsv'}", columns=columns, folds=3, fold=fold)
        found = load_data(data)
        parts = [set(getattr(found, part).groups) for part in ("train", "validation", "test")]
        assert not parts[0] & parts[2] and not parts[1] & parts[2] and not parts[0] & parts[1]
        assert "whole groups" in " ".join(found.notes)
        tested += parts[2]
    assert sorted(tested) == list(range(12))
    (tmp_path / "train.tsv").write_text("label\ttext\twho\na\tone\ts1\nb\ttwo\ts2\n")
    (tmp_path / "test.tsv").write_text("label\ttext\twho\na\tthree\ts1\n")
    (tmp_path / "t.tsv").unlink()
    if by == "speaker":
        with pytest.raises(UserError, match=r"examples of one who in .* are both in the"):
            load_data(Data(f"text:{tmp_path}", columns=columns))
