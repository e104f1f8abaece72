"""Sets of TFDS that have objects beside an image, as voc and coco have them."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from drawn_objects import IMAGES, NAMES, boxes_of
from PIL import Image

from cnn_jax.data import fetch, load
from cnn_jax.data.boxed_set import CROWD, DIFFICULT
from cnn_jax.data.tfds_boxes import load_tfds_boxes
from cnn_jax.errors import UserError


class ToyObjects(tfds.core.GeneratorBasedBuilder):
    """The images of `drawn_objects`, with flags as voc has them, or as coco."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="difficult"),
        tfds.core.BuilderConfig(name="crowd"),
    ]

    def _info(self):
        fields = {
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=list(NAMES)),
            f"is_{self.builder_config.name}": np.bool_,
        }
        if self.builder_config.name == "crowd":
            fields["area"] = np.int64
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "objects": tfds.features.Sequence(fields),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._examples("abcd"), "validation": self._examples("ef")}

    def _examples(self, names):
        for name in names:
            (width, height), objects = IMAGES[name]
            file = io.BytesIO()
            Image.new("RGB", (width, height)).save(file, "png")
            rows = []
            for place, (label, left, top, right, bottom) in enumerate(objects):
                row = {
                    "bbox": tfds.features.BBox(
                        top / height, left / width, bottom / height, right / width
                    ),
                    "label": label,
                    f"is_{self.builder_config.name}": place == 0,
                }
                if self.builder_config.name == "crowd":
                    row["area"] = 7
                rows.append(row)
            yield name, {"image": file.getvalue(), "objects": rows}

    def _generate_examples(self):
        raise AssertionError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


def test_objects_are_read_as_boxes_with_their_flags(folder):
    found = load_tfds_boxes("toy_objects/difficult", image_size=32, data_dir=folder)
    assert found.class_names == NAMES and found.train.images.shape == (4, 32, 32, 3)
    assert sorted(boxes_of(found.train)) == sorted(IMAGES[name] for name in "abcd")
    assert sorted(boxes_of(found.test)) == sorted(IMAGES[name] for name in "ef")
    there, flags = found.train.targets["there"], found.train.targets["box_flags"]
    assert (flags[:, 0] == DIFFICULT * there[:, 0]).all() and not flags[:, 1:].any()
    crowd = load("toy_objects/crowd", image_size=32, data_dir=folder, kind="boxes").train.targets
    assert (crowd["box_flags"][:, 0] == CROWD * crowd["there"][:, 0]).all()
    assert (crowd["box_area"][crowd["there"]] == 7).all()


def test_sets_of_another_kind_are_refused(folder):
    import toy_tfds  # noqa: F401  (registers the set)

    with pytest.raises(UserError, match="toy_photos/plain has no boxes"):
        load_tfds_boxes("toy_photos/plain", data_dir=folder)
    with pytest.raises(UserError, match="is no image-classification set"):
        load("toy_objects/crowd", image_size=32, data_dir=folder)
    assert fetch("toy_objects/crowd", folder).path.endswith("toy_objects/crowd/1.0.0")
