"""Commands that look into a net: show walk, filters, features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cnn_jax.commands.output import print_json, print_rows
from cnn_jax.commands.shown_run import FromCheckpoint, check_least, last_step, save, told_lines


@dataclass(frozen=True)
class ShowWalk(FromCheckpoint):
    """Draw what each layer of the model makes of one image, step by step."""

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    image: tyro.conf.Positional[Path | None] = None
    """An image file. By default an example of the validation part."""
    layers: tuple[str, ...] = ()
    """Names of the layers to draw, such as stem stage1. By default all of a short model, and the
    larger parts of a long one."""
    top: int = 5
    """How many classes are shown at the end."""
    output: Path = Path("walk.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the steps as JSON."""

    def __call__(self) -> None:
        """Writes the picture, and prints a row for each step."""
        from cnn_jax.inside.examples import as_seen, check_images
        from cnn_jax.inside.net import net_of
        from cnn_jax.inside.walk import walk
        from cnn_jax.report.walk_picture import walk_picture

        check_least(top=self.top)
        found = self.opened()
        trained = found.trained
        check_images(trained, "walk")
        net = net_of(trained)
        looked = found.looked([] if self.image is None else [self.image], 1, self.data_dir)
        inputs = looked.inputs[:1]
        way = walk(net, inputs, self.layers)
        told = told_lines(trained, way.outputs, self.top)
        name = f"{trained.recipe.model.name}, step {trained.step:,}"
        picture = walk_picture(
            as_seen(trained, inputs)[0],
            way.steps,
            told,
            title=f"{looked.names[0]} on its way through {name}",
            last=last_step(trained),
            left_out=way.left_out,
        )
        rows = [
            {
                "step": step.name,
                "shape": step.shape,
                "least": float(step.value.min()),
                "largest": float(step.value.max()),
                "what": step.what,
            }
            for step in way.steps
        ]
        save(picture, self.output)
        if self.json:
            ends = [{"name": name, "value": value} for name, value, _ in told]
            print_json({"steps": rows, "told": ends, "output": str(self.output)})
            return
        columns = ("step", "shape", "least", "largest", "what")
        print_rows(rows, columns, as_json=False, empty="", wrap=("what",))
        print(f"{last_step(trained)}: " + ", ".join(f"{each[0]} {each[1]}" for each in told))
        more = f", {way.left_out:,} layers left out" if way.left_out else ""
        print(f"{self.output}: {len(rows)} steps of {looked.names[0]}{more}")


@dataclass(frozen=True)
class ShowFilters(FromCheckpoint):
    """Draw the kernels of a convolution."""

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    layer: str | None = None
    """Name of the convolution. By default the first."""
    output: Path = Path("filters.png")
    """The PNG file to write."""

    def __call__(self) -> None:
        """Writes the picture, and prints what is on it."""
        from cnn_jax.inside.examples import check_images
        from cnn_jax.inside.kernels import kernels, shapes_of_input
        from cnn_jax.inside.net import Net
        from cnn_jax.report.filter_sheet import filter_sheet

        trained = self.opened().trained
        check_images(trained, "filters")
        net = Net(trained.module, trained.variables)
        found = kernels(net, shapes_of_input(trained), self.layer)
        save(filter_sheet(found.values), self.output)
        height, width, maps, count = found.values.shape
        mean = "" if maps in (1, 3) else ", of which the mean over the maps is drawn"
        print(
            f"{self.output}: {count} filters of {height}x{width} over {maps} "
            f"map{'s' * (maps > 1)} of layer {found.layer}{mean}"
        )


@dataclass(frozen=True)
class ShowFeatures(FromCheckpoint):
    """Draw the feature maps of a layer for one image."""

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    image: tyro.conf.Positional[Path | None] = None
    """An image file. By default an example of the validation part."""
    layer: str | None = None
    """Name of the layer. By default the last one that still has several places."""
    output: Path = Path("features.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints what is on it."""
        from cnn_jax.inside.examples import as_seen, check_images
        from cnn_jax.inside.net import Net
        from cnn_jax.inside.points import map_layer
        from cnn_jax.inside.walk import walk
        from cnn_jax.report.feature_sheet import feature_sheet

        found = self.opened()
        trained = found.trained
        check_images(trained, "features")
        looked = found.looked([] if self.image is None else [self.image], 1, self.data_dir)
        net, inputs = Net(trained.module, trained.variables), looked.inputs[:1]
        layer = map_layer(self.layer, net.layers(inputs))
        (step,) = walk(net, inputs, [layer.name]).steps
        title = f"{looked.names[0]} at layer {layer.name}, {step.shape}"
        save(feature_sheet(as_seen(trained, inputs)[0], step.value, title), self.output)
        print(f"{self.output}: {title}")
