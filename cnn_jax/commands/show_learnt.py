"""Commands that draw what a net has learnt to tell apart: show patches, embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from cnn_jax.commands.shown_run import FromCheckpoint, check_least, save
from cnn_jax.errors import UserError


@dataclass(frozen=True)
class ShowPatches(FromCheckpoint):
    """Draw the parts of images that activate the maps of a layer most, and images that are made to
    do so.
    """

    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Image files, folders or patterns. By default examples of the validation part."""
    layer: str | None = None
    """Name of the layer. By default the last one that still has several places."""
    maps: tuple[int, ...] = ()
    """Which maps of the layer, counted from 0. By default the first ten."""
    patches: int = 8
    """How many parts of images are drawn for each map."""
    examples: int = 1000
    """How many examples are searched if no files are given."""
    output: Path = Path("patches.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints what is on it."""
        import numpy as np

        from cnn_jax.inside.examples import as_seen, check_images
        from cnn_jax.inside.exciting import dreamt, exciting
        from cnn_jax.inside.net import Net
        from cnn_jax.inside.points import map_layer
        from cnn_jax.report.patch_sheet import patch_sheet

        check_least(patches=self.patches, examples=self.examples)
        found = self.opened()
        trained = found.trained
        check_images(trained, "patches")
        looked = found.looked(self.images, self.examples, self.data_dir)
        net, inputs = Net(trained.module, trained.variables), looked.inputs
        layer = map_layer(self.layer, net.layers(inputs[:1]))
        count = layer.shape[-1]
        channels = list(self.maps) or list(range(min(10, count)))
        if bad := [each for each in channels if not 0 <= each < count]:
            raise UserError(
                f"--maps {bad[0]}: layer {layer.name} has {count} maps, 0 to {count - 1}"
            )
        patches = exciting(net, inputs, layer.name, channels, self.patches)
        made = dreamt(net, inputs.shape[1:], layer.name, channels)
        # With the contrast of the training images, beyond which nothing could be seen.
        contrast = made.std((1, 2, 3), keepdims=True)
        made = as_seen(trained, made / np.where(contrast > 0, contrast, 1))
        used = sorted({each.image for row in patches.values() for each in row})
        pictures = dict(zip(used, as_seen(trained, inputs[np.array(used)]), strict=True))
        sheet = patch_sheet(dict(zip(channels, made, strict=True)), patches, pictures)
        save(sheet, self.output)
        boxes = [each.box for row in patches.values() for each in row]
        high, wide = max(b[2] - b[0] for b in boxes), max(b[3] - b[1] for b in boxes)
        print(
            f"layer {layer.name}: {len(channels)} of {count} maps; a place sees up to {high}x"
            f"{wide} of the {inputs.shape[1]}x{inputs.shape[2]} pixels that the net is given"
        )
        print("first in each row is an image that was made to excite the map, by gradient ascent")
        print(f"{self.output}: patches of {looked.what}")


@dataclass(frozen=True)
class ShowEmbedding(FromCheckpoint):
    """Draw a map of examples by the features that the model makes of them, by PCA and by t-SNE."""

    layer: str | None = None
    """Name of the layer whose values are used. By default the last one before the outputs."""
    examples: int = 500
    """How many examples of the validation part are drawn, evenly spread."""
    output: Path = Path("embedding.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints how far classes lie apart."""
        import numpy as np

        from cnn_jax.evaluation.mask_pictures import in_colour
        from cnn_jax.inside.embedding import embedded, features_of, neighbours_alike
        from cnn_jax.inside.net import Net
        from cnn_jax.report.embedding_picture import embedding_picture

        found = self.opened()
        trained = found.trained
        looked = found.looked((), self.examples, self.data_dir)
        if isinstance(looked.inputs, dict) and "windows" in looked.inputs:
            raise UserError("sounds of several windows have no one place on a map of features")
        layer, features = features_of(
            Net(trained.module, trained.variables), looked.inputs, self.layer
        )
        points = embedded(layer, features)
        labels = looked.targets
        if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind != "i":
            labels = None
        images = None
        if trained.spec.input_kind == "image":
            images = np.stack([in_colour(image, trained.spec.value_range) for image in looked.raw])
        maps = {
            f"PCA: {points.kept:.0%} of the variance": points.pca,
            "t-SNE: neighbours stay neighbours": points.tsne,
        }
        picture = embedding_picture(maps, labels, trained.spec.class_names, images)
        save(picture, self.output)
        print(f"layer {layer}: {features.shape[1]:,} features")
        if labels is not None:
            alike = neighbours_alike(features, labels)
            print(f"{alike:.1%} have a nearest neighbour of their own class")
        print(f"{self.output}: {looked.what}")
