"""Sets of TFDS that have a mask beside an image, as oxford_iiit_pet has them."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from toy_tfds import png

from cnn_jax.data import fetch, load
from cnn_jax.data.fields import VOID
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.defaults.mask_recipe import mask_facts
from cnn_jax.errors import UserError
from cnn_jax.evaluation.judged_masks import judged_masks
from cnn_jax.recipe import Data, Masks

SIZES = [(4, 6), (6, 4), (8, 8), (4, 6), (6, 6)]
TRAIN, TEST = 4, 1
NAMES = ("ground", "pet", "border")


def mask_of(place, low):
    height, width = SIZES[place]
    values = (np.arange(height * width) + place) % 3
    return (values.reshape(height, width) + low).astype(np.uint8)


class ToySegments(tfds.core.GeneratorBasedBuilder):
    """Values from 1 on without names, as oxford_iiit_pet has them, or from 0 on with names."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="values"),
        tfds.core.BuilderConfig(name="named"),
        tfds.core.BuilderConfig(name="damaged"),
    ]

    def _info(self):
        mask = tfds.features.Image(shape=(None, None, 1))
        if self.builder_config.name == "named":
            mask = tfds.features.LabeledImage(shape=(None, None, 1), labels=list(NAMES))
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(num_classes=2),
            "segmentation_mask": mask,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._examples(range(TRAIN)), "test": self._examples([TRAIN])}

    def _examples(self, places):
        low = 0 if self.builder_config.name == "named" else 1
        for place in places:
            pixels = np.full((*SIZES[place], 3), 10 * place, np.uint8)
            mask = mask_of(place, low)
            if self.builder_config.name == "damaged" and place == 2:
                mask = mask[:-1]
            yield (
                place,
                {"image": png(pixels), "label": 0, "segmentation_mask": png(mask)},
            )

    def _generate_examples(self):
        raise AssertionError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


def masks_of(split):
    """Masks at their own size, by the grey of their image; records are shuffled."""
    found = {}
    for image, mask, (height, width) in zip(
        split.images, split.targets["mask"], split.targets["size"], strict=True
    ):
        assert (mask[height:] == VOID).all() and (mask[:, width:] == VOID).all()
        found[int(image[0, 0, 0]) // 10] = mask[:height, :width]
    return found


@pytest.mark.parametrize("config", ["values", "named"])
def test_masks_are_read_at_their_own_size(folder, config):
    found = load(f"toy_segments/{config}", image_size=8, data_dir=folder, kind="mask")
    named = config == "named"
    assert found.class_names == (NAMES if named else ("class_1", "class_2", "class_3"))
    assert found.facts["mask_values"] == ((0, 1, 2) if named else (1, 2, 3))
    assert found.train.images.shape == (TRAIN, 8, 8, 3)
    train, test = masks_of(found.train), masks_of(found.test)
    assert sorted(train) == list(range(TRAIN)) and sorted(test) == [TRAIN]
    for place, mask in {**train, **test}.items():
        np.testing.assert_array_equal(mask, mask_of(place, 0))
    assert fetch(f"toy_segments/{config}", folder).path.endswith(f"toy_segments/{config}/1.0.0")


def test_classes_and_ignored_values_may_be_given(folder, tmp_path):
    (tmp_path / "classes.csv").write_text("name,id\npet,1\nground,2\nborder,3\n")
    masks = Masks(classes=str(tmp_path / "classes.csv"), ignore=(3,))
    found = load("toy_segments/values", image_size=8, data_dir=folder, kind="mask", masks=masks)
    assert found.class_names == ("pet", "ground")
    np.testing.assert_array_equal(
        masks_of(found.test)[TRAIN], np.where(mask_of(TRAIN, 0) == 2, VOID, mask_of(TRAIN, 0))
    )


def test_the_default_recipe_knows_their_size_without_reading_them(folder):
    facts = mask_facts(Data("toy_segments/values"), data_dir=folder)
    assert facts == (TRAIN, 5, 6, False, 3)


def test_a_model_of_another_set_is_judged_by_them(folder):
    learnt = data_spec(load("toy_segments/named", image_size=8, data_dir=folder, kind="mask"))
    parts, notes = judged_masks(Data("x"), learnt, "toy_segments/named", folder)
    np.testing.assert_array_equal(masks_of(parts["test"])[TRAIN], mask_of(TRAIN, 0))
    assert "no file names the classes" not in " ".join(notes)


def test_masks_of_another_size_and_sets_without_masks_are_refused(folder):
    import toy_tfds  # noqa: F401  (registers the set)

    with pytest.raises(UserError, match=r"toy_photos/plain has no masks: .*image: Image, label"):
        load("toy_photos/plain", data_dir=folder, kind="mask")
    with pytest.raises(UserError) as error:
        load("toy_segments/damaged", data_dir=folder, kind="mask")
    assert "1 masks have another size (height x width) than their image" in str(error.value)
    assert "the segmentation_mask of example" in str(error.value)
    with pytest.raises(UserError, match="has classes, and the task learns number"):
        load("toy_segments/named", data_dir=folder, kind="number")
