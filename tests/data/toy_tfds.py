"""A set that TFDS can prepare here: it downloads nothing and needs no TensorFlow."""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def config(name: str, splits: dict[str, int], **fields):
    made = tfds.core.BuilderConfig(name=name)
    made.splits, made.fields = splits, fields
    return made


class ToyPhotos(tfds.core.GeneratorBasedBuilder):
    """Grey levels that count from 0, of two classes in turn."""

    VERSION = tfds.core.Version("1.2.3")
    BUILDER_CONFIGS = [  # noqa: RUF012
        config("plain", {"train": 20, "test": 6, "validation": 4}),
        config("secret", {"train": 20, "test": 6, "validation": 4}, secret=True),
        config("secret_train", {"train": 20, "test": 6}, secret=True),
        config("imagenet", {"train": 20, "validation": 4}),
        config("train_only", {"train": 20}),
        config("test_only", {"test": 20}),
        config("further", {"train": 20, "test": 4, "extra": 3}),
        config("varied", {"train": 20, "test": 4}, shape=(None, None, 3)),
        config("unlabelled", {"train": 4}, label=tfds.features.Text()),
        config("array", {"train": 4}, as_array=True),
        config("broken", {"train": 4}, broken=True),
        config("wide", {"train": 4}, dtype=np.uint16),
    ]

    def _info(self):
        fields = self.builder_config.fields
        features = {
            "image": tfds.features.Image(
                shape=fields.get("shape", (4, 6, 1)), dtype=fields.get("dtype", np.uint8)
            ),
            "label": fields.get("label", tfds.features.ClassLabel(names=["even", "odd"])),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {name: self._examples(name, n) for name, n in self.builder_config.splits.items()}

    def _examples(self, split, n):
        fields = self.builder_config.fields
        if fields.get("broken"):
            raise OSError("the archive is broken")
        for index in range(n):
            if "shape" in fields:
                pixels = np.full((4 + index % 3, 6, 3), index, np.uint8)
            else:
                pixels = np.full((4, 6), index, np.uint8)
            hidden = "train" if self.builder_config.name == "secret_train" else "test"
            label = -1 if fields.get("secret") and split == hidden else index % 2
            image = pixels[..., None] if fields.get("as_array") else png(pixels)
            yield index, {"image": image, "label": label}

    def _generate_examples(self):
        raise AssertionError
