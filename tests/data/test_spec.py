import dataclasses

import pytest

from cnn_jax.data.spec import DataSpec
from cnn_jax.json_values import from_json, to_json

SPEC = DataSpec(
    name="folder:photos",
    class_names=("cat", "dog"),
    image_shape=(8, 8, 1),
    mean=(0.4731,),
    std=(0.2512,),
    examples={"train": 90, "test": 10},
    grey_range=None,
)


def changed(**fields) -> DataSpec:
    return dataclasses.replace(SPEC, **fields)


def test_a_last_bit_is_no_change_and_nothing_is_said():
    now = changed(std=(0.25120000000000003,))
    assert now.std != SPEC.std
    assert now.changes(SPEC) == []
    assert now.taken_up(SPEC) == SPEC


def test_what_another_pillow_makes_of_the_images_is_told():
    now = changed(mean=(0.4729,), notes=("cut",))
    assert now.changes(SPEC) == []
    taken = now.taken_up(SPEC)
    assert (taken.mean, taken.std) == (SPEC.mean, SPEC.std)
    cut, note = taken.notes
    assert cut == "cut" and "differ by up to 0.0002 from those that the run began with" in note


@pytest.mark.parametrize(
    "fields",
    [
        {"mean": (0.48,)},
        {"std": (0.26,)},
        {"mean": (0.4731,) * 3, "std": (0.2512,) * 3},
        {"class_names": ("cat", "owl")},
        {"examples": {"train": 91, "test": 10}},
    ],
)
def test_other_data_are_changes(fields):
    now = changed(**fields)
    assert [line.split(":")[0].split(".")[0] for line in now.changes(SPEC)] == list(fields)
    if "mean" in fields:
        assert now.taken_up(SPEC) == now


def test_notes_are_no_change_and_a_range_of_grey_is_one():
    assert changed(notes=("left out 3 files",), statistics="others").changes(SPEC) == []
    assert changed(grey_range=(0, 4095)).changes(changed(grey_range=(0, 1023)))
    # Runs that were stored without a range had no such images, or read them whole.
    assert changed(grey_range=None).changes(changed(grey_range=(0, 65535))) == []


def test_what_older_versions_stored_can_be_read():
    fields = to_json(SPEC)
    del fields["notes"], fields["grey_range"]
    assert from_json(fields, DataSpec, "data.json") == changed(grey_range=(0, 65535))
