"""Commands that look at data: list, fetch, info, show, bench."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from cnn_jax.commands.output import print_fields, print_json, print_rows
from cnn_jax.errors import UserError
from cnn_jax.recipe import (
    Augment,
    Columns,
    Data,
    Masks,
    Preprocess,
    Recipe,
    Sound,
    Task,
    Text,
    Video,
)
from cnn_jax.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cnn_jax.data import Dataset


@dataclass(frozen=True)
class DataList:
    """List the data sets that can be used by name, and which of them are on disk."""

    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Prints a row for each set."""
        from cnn_jax.data.listing import ANY_TFDS, catalog

        print_rows(
            [row._asdict() for row in catalog(self.data_dir)],
            ("name", "what", "path", "how"),
            as_json=self.json,
            empty="no data sets",
            wrap=("what", "how"),
            drop=("path",),
        )
        if not self.json:
            say(Console(), ANY_TFDS)


@dataclass(frozen=True)
class DataFetch:
    """Download and prepare a data set, if it is not on disk yet."""

    name: tyro.conf.Positional[str]
    """Name of a data set, as for --data.name: such as digits, cifar10, folder:photos or
    csv:ages.csv."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Prints where the set lies."""
        from cnn_jax.data import fetch

        path, there = fetch(self.name, self.data_dir)
        print(f"{self.name} {'was already' if there else 'is now'} in {path}")


@dataclass(frozen=True)
class Reading:
    """How the data are read; the flags mean the same as in an experiment."""

    image_size: int | None = None
    """Resize images to a square of this side in pixels. Images with boxes: by default 320. Images
    with masks keep their proportions, and this is the longer side."""
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """How images with boxes become square: keep the proportions and pad, or stretch."""
    skip_bad: bool = False
    """Leave out files that cannot be read, instead of stopping with an error."""
    grey_range: tuple[int, int] | None = None
    """Which values of 16-bit grey images become black and white, such as 0 4095 for 12 bits. By
    default 0 and the largest value of as many bits as they need."""
    full_depth: bool = False
    """Keep all values of 16-bit PNG files, instead of scaling them to 8 bits. TIFF files keep
    theirs."""
    streaming: bool | None = None
    """Read only the images that are used, instead of holding all in memory. By default from 8 GB of
    pixels on."""
    columns: Columns = field(default_factory=Columns)
    fill_missing: Literal["none", "linear"] = "none"
    """What to do if a value within a series is missing: stop with an error, or draw a line between
    its neighbours."""
    text: Text = field(default_factory=Text)
    rate: int | None = None
    """Resample sounds to this many samples a second. By default the rate that most files have."""
    frames: int | None = None
    """Keep at most this many frames of each video: of a longer one only every second, every third
    and so on. By default all."""
    masks: Masks = field(default_factory=Masks)
    task: str = "classification"
    """The task that the data are for, such as tagging or regression: it says whether the targets
    are classes, tags or numbers."""

    def load(self, name: str, data_dir: Path | None) -> Dataset:
        """The data set of a name, read so."""
        from cnn_jax.data.catalog import told_kind
        from cnn_jax.data.recipe_data import read_data
        from cnn_jax.tasks import target_kind

        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        kind = target_kind(Recipe("data", task=Task(fields.pop("task"))))
        return read_data(Data(name, **fields), data_dir, kind=told_kind(name) or kind)


@dataclass(frozen=True)
class DataInfo:
    """Print counts, shapes, classes and statistics of a data set."""

    name: tyro.conf.Positional[str]
    """Name of a data set, as for --data.name: such as digits, cifar10, folder:photos or
    csv:ages.csv."""
    data: Reading = field(default_factory=Reading)
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Prints what is known of the set."""
        from cnn_jax.data import describe

        found = describe(self.data.load(self.name, self.data_dir))
        if self.json:
            print_json(found)
            return
        names, numbers = found.pop("class_names"), found.pop("numbers", None)
        counts = found.pop("class_counts", {})
        for split, (least, most) in found.pop("lengths", {}).items():
            found[f"{split} lengths"] = f"{least}" if least == most else f"{least} to {most}"
        for split, mean in found.pop("mean_lengths", {}).items():
            found[f"{split} mean length"] = mean
        for split, count in found.pop("examples").items():
            found[f"{split} examples"] = count
        print_fields(found)
        if numbers is not None:
            told = [
                {"number": name, "split": split, **each[place]}
                for place, name in enumerate(names)
                for split, each in numbers.items()
            ]
            columns = ("number", "split", "mean", "std", "least", "most")
            print_rows(told, columns, as_json=False, empty="no numbers")
            return
        rows = [
            {"class": name, **{split: each[place] for split, each in counts.items()}}
            for place, name in enumerate(names)
        ]
        print_rows(rows, ("class", *counts), as_json=False, empty="no classes")


@dataclass(frozen=True)
class DataShow:
    """Draw images, sounds, series or videos of a data set, and beside them random changes. Texts
    are printed.
    """

    name: tyro.conf.Positional[str]
    """Name of a data set, as for --data.name: such as digits, cifar10, folder:photos or
    csv:ages.csv."""
    augment: Augment = field(default_factory=Augment)
    preprocess: Preprocess = field(default_factory=Preprocess)
    sound: Sound = field(default_factory=Sound)
    video: Video = field(default_factory=Video)
    output: Path = Path("contact_sheet.png")
    """The image file to write."""
    examples: int = 8
    """Number of examples: the rows of the picture."""
    variants: int = 8
    """Number of randomly changed versions of each example: the columns."""
    seed: int = 0
    """Seed of the choice of examples and of the random changes."""
    data: Reading = field(default_factory=Reading)
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the sheet."""
        import numpy as np

        from cnn_jax import augment
        from cnn_jax.data.dataset import Split, input_kind
        from cnn_jax.data.fields import fields_of, is_spatial
        from cnn_jax.data.recipe_data import data_spec
        from cnn_jax.data.streamed import StreamedSplit
        from cnn_jax.data.streaming import mean_std
        from cnn_jax.report.contact_sheet import augmentation_sheet

        for flag, value in (("examples", self.examples), ("variants", self.variants)):
            if value < 1:
                raise UserError(f"--{flag} {value} must be at least 1")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} must not be negative")
        dataset = self.data.load(self.name, self.data_dir)
        train = dataset.train
        if (kind := input_kind(train)) == "tokens":
            _show_texts(dataset, self.examples, self.seed)
            return
        if kind == "series":
            self._draw_series(dataset)
            return
        if kind == "sound":
            self._draw_sounds(dataset)
            return
        if kind == "clip":
            self._draw_videos(dataset)
            return
        if isinstance(train, StreamedSplit):
            mean, std, _ = mean_std(dataset.name, train)
            places = np.random.default_rng(self.seed).permutation(len(train))[: self.examples]
            train = train.decoded(places)
        else:
            spec = data_spec(dataset)
            mean, std = np.array(spec.mean), np.array(spec.std)
        assert isinstance(train, Split)
        if is_spatial(fields_of(train.targets)):
            self._draw_targets(dataset)
            return
        images, shown = _in_bytes(train.images), self.name
        if (channels := images.shape[-1]) not in (1, 3):
            first = 3 if channels > 3 else 1
            images, mean, std = images[..., :first], mean[:first], std[:first]
            shown += f", of whose {channels} channels the first {first} are shown"
        labels, names = train.targets, dataset.class_names
        if labels.ndim > 1:
            # Each image is of a class of its own, called what is told of it.
            labels = np.arange(len(train))
            names = tuple(_title(each, dataset.class_names) for each in train.targets)
        augment.check(self.augment, self.preprocess, train.image_shape)
        sheet = augmentation_sheet(
            images,
            labels,
            names,
            preprocess=self.preprocess,
            augment=self.augment,
            mean=mean,
            std=std,
            seed=self.seed,
            examples=self.examples,
            variants=self.variants,
        )
        self._save(sheet)
        print(f"{self.output}: {self.examples} images of {shown}, {self.variants} variants each")

    def _draw_targets(self, dataset: Dataset) -> None:
        """Draws images with what is told of their places over them."""
        from cnn_jax.data.dataset import Split
        from cnn_jax.data.recipe_data import data_spec
        from cnn_jax.report.spatial_sheet import spatial_sheet

        spec, train = data_spec(dataset), dataset.train
        assert isinstance(train, Split)
        images = _in_bytes(train.images)
        if images.shape[-1] not in (1, 3):
            raise UserError(f"images of {images.shape[-1]} channels cannot be shown")
        sheet = spatial_sheet(
            dataclasses.replace(train, inputs=images),
            spec,
            preprocess=self.preprocess,
            augment=self.augment,
            seed=self.seed,
            examples=self.examples,
            variants=self.variants,
            fit=self.data.fit,
        )
        self._save(sheet)
        print(
            f"{self.output}: {self.examples} images of {self.name}, {self.variants} variants each"
        )

    def _draw_series(self, dataset: Dataset) -> None:
        """Draws curves of series, which nothing changes at random."""
        from cnn_jax.report.series_sheet import series_sheet

        series, titles = self._chosen(dataset)
        self._save(series_sheet(series, titles))
        print(f"{self.output}: {len(titles)} series of {self.name}")

    def _draw_sounds(self, dataset: Dataset) -> None:
        """Draws pictures of sounds, with random changes beside them where some are asked for."""
        from cnn_jax.data.recipe_data import data_spec
        from cnn_jax.report.sound_sheet import sound_sheet

        sounds, titles = self._chosen(dataset)
        how = dataclasses.replace(self.sound, picture="log_mel")
        changes = how.shift or how.gain or how.stretch or how.time_masks or how.band_masks
        variants = self.variants if changes else 1
        spec = data_spec(dataset)
        sheet = sound_sheet(sounds, titles, spec, how, variants=variants, seed=self.seed)
        self._save(sheet)
        print(f"{self.output}: {len(titles)} sounds of {self.name}, {variants} variants each")

    def _draw_videos(self, dataset: Dataset) -> None:
        """Draws the frames that a model is given, a row a video, and changed ones below."""
        from cnn_jax.data.recipe_data import data_spec
        from cnn_jax.report.video_sheet import video_sheet

        videos, titles = self._chosen(dataset)
        variants = self.variants if self.augment != Augment() else 1
        recipe = Recipe("sheet", preprocess=self.preprocess, augment=self.augment, video=self.video)
        sheet = video_sheet(
            videos, titles, data_spec(dataset), recipe, variants=variants, seed=self.seed
        )
        self._save(sheet)
        print(f"{self.output}: {len(titles)} videos of {self.name}, {variants} variants each")

    def _chosen(self, dataset: Dataset) -> tuple[np.ndarray, list[str]]:
        """Some of the training inputs, and what is told of each."""
        import numpy as np

        from cnn_jax.data.dataset import Split

        count = min(self.examples, len(dataset.train))
        places = np.random.default_rng(self.seed).permutation(len(dataset.train))[:count]
        shown = dataset.train.take(np.sort(places))
        assert isinstance(shown, Split)
        names = dataset.class_names
        titles = [_title(each, names) if each.ndim else names[each] for each in shown.targets]
        return shown.inputs, titles

    def _save(self, sheet: Image.Image) -> None:
        try:
            sheet.save(self.output)
        except (OSError, ValueError) as error:
            raise UserError(f"--output {self.output} cannot be written: {error}") from None


def _show_texts(dataset: Dataset, count: int, seed: int) -> None:
    """Prints some texts of a set as a model is given them, with what is told of each."""
    import numpy as np

    from cnn_jax.data.dataset import Split

    train, words = dataset.train, ("", "<unknown>", *dataset.words)
    assert isinstance(train, Split)
    for place in np.random.default_rng(seed).permutation(len(train))[:count]:
        target = train.targets[place]
        told = _title(target, dataset.class_names) if target.ndim else dataset.class_names[target]
        print(f"{told}: {' '.join(words[each] for each in train.inputs[place]).rstrip()}")


def _in_bytes(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) as uint8, to be looked at."""
    import numpy as np

    if images.dtype == np.uint8:
        return images
    from cnn_jax.data.statistics import value_range

    low, high = value_range(images)
    return np.round((images.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)


def _title(target: np.ndarray, names: Sequence[str]) -> str:
    """What is told of an image, in few words: its tags, or its numbers."""
    if target.dtype == "int8":
        return " ".join(name for name, there in zip(names, target, strict=True) if there == 1)
    return " ".join(f"{number:.4g}" for number in target)
