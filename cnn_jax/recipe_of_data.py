"""The fields of a recipe that say what is learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnn_jax.own.parts import Part

Interpolation = Literal["bilinear", "bicubic"]
Resizer = Literal["pillow", "simd"]


@dataclass(frozen=True)
class Columns:
    """Which columns of `csv:FILE`, or of tables of `text:`, `series:`, `sound:` and
    `video:`, hold what.
    """

    targets: tuple[str, ...] = ()
    """What is to be told of an example; by default every column that is nothing else (of series
    the first, or one called label, class, target or y). Tags stand in one column, or each has a
    column of 1, 0, or nothing where it is unknown."""
    file: str | None = None
    """The image files, named from the table's folder or from one beside it; by default the column
    that is called file, path, image or the like."""
    split: str | None = None
    """train, validation or test; by default the column that is called split or part. Without one
    parts are cut."""
    group: str | None = None
    """Examples of one value, such as a person, stay in one part."""
    fold: str | None = None
    """Of `sound:FILE` and `video:FILE`, the fold that each belongs to, a number or a word; by
    default the column that is called fold."""
    names: str | None = None
    """A file with a name a line: the classes or tags in this order. Tags that are not in it are
    left out."""
    text: str | None = None
    """Of `text:PATH`, the text; by default the column that is called text, sentence or the like, or
    the one with the longest cells."""


@dataclass(frozen=True)
class Text:
    """How the texts of `text:PATH` become words."""

    encoding: str = "utf-8"
    """How the files are written: utf-8, latin-1, cp1252, or another that Python knows."""
    cleaning: Literal["words", "blanks"] = "words"
    """What words are. `words` keeps letters, digits and ( ) , ! ? ' `, each of these signs a word,
    and parts n't, 's, 've, 're, 'd, 'll from what they end, as Kim (2014) does
    (https://arxiv.org/abs/1408.5882); `blanks` takes what stands between blanks as it is."""
    lower_case: bool = True
    """Take THE and the for one word."""
    longest: int = 400
    """Texts are cut after so many words; how many are is said."""


@dataclass(frozen=True)
class Masks:
    """How the masks of `masks:PATH` are read."""

    classes: str | None = None
    """A file that names the classes, and perhaps their values and colours; by default classes.txt,
    classes.csv or classes.json beside the masks."""
    ignore: tuple[int, ...] | None = None
    """Values of pixels that are left out of loss and score; by default 255, and those of classes
    that are called void, unlabeled or ignore."""


@dataclass(frozen=True)
class Data(Part):
    """What is learnt from."""

    name: str = "mnist"
    """A data set: a TFDS catalog name, `digits`, `shapes`, `folder:PATH`, `csv:FILE`, `npz:FILE`,
    `series:PATH`, `ucr:NAME`, `text:PATH`, `sound:PATH`, `video:PATH`, `masks:PATH`, `coco:PATH`,
    `voc:PATH` or `yolo:PATH`. In Python also arrays (images, targets), or a function that returns
    such a pair or what `cnn_jax.from_arrays` makes."""
    columns: Columns = Columns()
    validation: float = 0.1
    """Part of the training examples held out for validation: a fraction below 1, or a count. 0
    trains on all: nothing is validated, no checkpoint is best, and the last state is tested.
    Not used where the set has a validation part of its own."""
    test: float | None = None
    """Part of the training examples cut for test where the set has no test part: a fraction below
    1, or a count; by default a tenth. 0 learns from all: then nothing is tested."""
    folds: int | None = None
    """Deal the examples into so many folds, classes in proportion and groups whole, of which one is
    the test part; for sets without one. Sounds and videos that come with folds are tested on these.
    `--folds` of the command line runs them all."""
    fold: int = 1
    """Which of the folds is the test part, from 1."""
    examples: int | None = None
    """Learn from so many of the training examples only, chosen by a fixed rule with the classes
    in proportion; by default from all."""
    image_size: int | None = None
    """Side in pixels to which every image is resized when it is read; needed for sets whose
    images differ in size. Of sets of boxes the side of a square, by default 320. Of
    `masks:PATH` the longer side of the size that images are scaled to fit."""
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """How images of sets of boxes come to a square: whole and filled up at the bottom or the right,
    or stretched. Boxes are told in pixels of the files all the same."""
    skip_bad: bool = False
    """Leave out files of `folder:PATH` that cannot be read, instead of stopping."""
    grey_range: tuple[int, int] | None = None
    """The values of 16-bit grey images of `folder:PATH` that are black and white: 0 4095 for 12
    bits. By default 0 and the greatest value of as many bits as the training images need."""
    full_depth: bool = False
    """Keep all values of 16-bit PNG files, grey or RGB, instead of scaling them to 8 bits. TIFF
    files always keep theirs: 8 or 16 bits or floats, of any number of channels."""
    streaming: bool | None = None
    """Read images from disk while the training runs, in processes that decode them, instead of
    holding the set in memory. By default where one of the following three is given, or the pixels
    are 8 GB or more."""
    random_crop: tuple[float, float] | None = None
    """Learn from a random part of each image, of an area between these two parts of the whole,
    resized to `image_size`: 0.08 1 as in Inception (https://arxiv.org/abs/1409.4842)."""
    random_crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and greatest width over height of `random_crop`."""
    central_crop: float | None = None
    """Evaluate the square in the middle of each image, its side this part of the shorter side:
    0.875 is 224 pixels of 256. By default the whole image, whatever its proportions; `random_crop`
    comes before it in training."""
    evaluation_size: int | None = None
    """Side in pixels of images in evaluation, by default `image_size`."""
    interpolation: Interpolation = "bilinear"
    """How images that stream are resized; always antialiased."""
    resizer: Resizer = "pillow"
    """What resizes images of 8 bits that stream. `simd`, of `pip install "cnn-jax[simd]"`, takes a
    third of Pillow's time; its values differ from Pillow's by one of 255 at most. It is for
    `bilinear` alone."""
    fill_missing: Literal["none", "linear"] = "none"
    """What is done about values of `series:PATH` that are missing before the end of a series:
    refuse them, or draw a line from one neighbour to the other."""
    text: Text = Text()
    rate: int | None = None
    """Samples a second to which the sounds of `sound:PATH` are brought; by default the rate that
    most of those to learn from have."""
    frames: int | None = None
    """Of a video of `video:PATH` with more frames every second, third and so on is kept, so that
    there are no more than these; by default all are."""
    masks: Masks = Masks()


@dataclass(frozen=True)
class Series:
    """What is done to every series of numbers, in training and evaluation alike."""

    standardise: Literal["train", "each", "none"] = "train"
    """Subtract a mean and divide by a deviation of each channel: those of all training series,
    which keeps what series differ by in level and size; those of each series, as papers do with
    sets that are not so already; or neither."""


@dataclass(frozen=True)
class Sound:
    """What is made of every sound, and random changes in training; zero leaves a change out."""

    window: float | None = None
    """Seconds that a model is given at once: a random part of a longer sound in training, and in
    evaluation all such windows, over which the outputs are averaged. A shorter sound is followed
    by silence. By default the length of the longest."""
    overlap: float = 0.5
    """Part of a window by which the next one overlaps it in evaluation, at least."""
    picture: Literal["log_mel", "none"] = "log_mel"
    """What a model is given: a picture of the power in bands of the mel scale over time, in
    decibels (time, bands, 1), which any net for images takes; or the samples themselves."""
    fft: int = 512
    """Samples of a frame, under a Hann window."""
    hop: int = 160
    """Samples from one frame to the next."""
    bands: int = 64
    """How many mel bands there are."""
    low: float = 50.0
    """Hertz where the lowest band begins."""
    high: float | None = None
    """Hertz where the highest band ends; by default half of the rate."""
    floor: float = 80.0
    """Decibels below the loudest value of a picture at which all that is quieter is cut off."""
    deltas: bool = False
    """Add a second channel, how fast each band changes, over nine frames."""
    standardise: Literal["each", "bands", "none"] = "each"
    """Subtract the mean and divide by the deviation of each picture, or of each window of samples;
    of each band of a picture, which takes away what a room or a microphone adds to all; or leave
    all as it is."""
    shift: float = 0.0
    """Move a sound by up to so many seconds, earlier or later."""
    gain: float = 0.0
    """Make it louder or softer by up to so many decibels."""
    stretch: float = 0.0
    """Play it faster or slower by a factor of up to 1 + this, which also changes its pitch."""
    time_masks: int = 0
    """Blank so many stripes of time of each picture (https://arxiv.org/abs/1904.08779)."""
    time_width: int = 32
    """Frames that such a stripe covers at most."""
    band_masks: int = 0
    """Blank so many stripes of bands."""
    band_width: int = 8
    """Bands that such a stripe covers at most."""
    between_class: bool = False
    """Learn from sums of two sounds of different classes, as loud as one, and from the share of
    each (https://arxiv.org/abs/1711.10282); each is weighted so that the share is heard."""


@dataclass(frozen=True)
class Video:
    """Which frames of a video a model is given. Of one that is too short the frames come again."""

    frames: int = 8
    """How many at once."""
    sampling: Literal["segments", "dense"] = "segments"
    """A frame of each of as many equal parts of the video, a random one in training and the middle
    one in evaluation (https://arxiv.org/abs/1608.00859); or frames that lie `step` apart, from a
    random place on in training and from places evenly spread over the video in evaluation."""
    step: int = 1
    """From a frame of `dense` to the next."""
    clips: int = 1
    """So many times frames are taken of each video in evaluation, over which outputs are averaged;
    each video counts once."""
