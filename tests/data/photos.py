"""Generated photographs of various sizes, in folders of classes or as the TFDS set imagenet2012."""

import io
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

SIZES = ((30, 40), (40, 30), (24, 44), (36, 36))


def jpeg(seed: int, height: int, width: int) -> bytes:
    """A smooth picture with a little noise, whose colour tells `seed` modulo 3."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 160, (3, 4, 3), np.uint8)
    coarse[..., seed % 3] += 95
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def write_folder(top: Path, n: int, *, classes: int = 3, sizes=SIZES) -> Path:
    """n photographs in folders of classes, each of one of the sizes in turn."""
    for index in range(n):
        folder = top / f"c{index % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:04d}.jpg").write_bytes(jpeg(index, *sizes[index % len(sizes)]))
    return top


def write_imagenet(data_dir: Path, train: int, validation: int, *, classes: int = 3, sizes=SIZES):
    """A set of the name, features and files of the catalog's imagenet2012, with few examples."""
    catalog_builder = tfds.builder_cls("imagenet2012")

    def examples(split: str, n: int):
        for index in range(n):
            content = jpeg(index + (split == "validation"), *sizes[index % len(sizes)])
            label = (index + (split == "validation")) % classes
            yield index, {"image": content, "label": label, "file_name": f"{index}.JPEG"}

    class Small(catalog_builder, skip_registration=True):
        name = "imagenet2012"

        def _split_generators(self, dl_manager):
            return {
                "train": examples("train", train),
                "validation": examples("validation", validation),
            }

    Small.__module__ = catalog_builder.__module__
    builder = Small(data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare(file_format="array_record")
