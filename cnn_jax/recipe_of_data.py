"""The fields of a recipe that say what is learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnn_jax.own.parts import Part

Interpolation = Literal["bilinear", "bicubic"]
Resizer = Literal["pillow", "simd"]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what: of csv:, text:, series:, sound: and video: data."""

    targets: tuple[str, ...] = ()
    """Columns with the targets, such as age height. By default all other columns; for the class of
    a sound, video, text or series the one called label, class or the like. Tags are in one column
    (cat;sofa), or each has a column of 1, 0, or nothing if unknown."""
    file: str | None = None
    """Column with the image, sound or video files, as paths from the folder of the table or one
    beside it. By default the one called file, path, image, audio, video or the like."""
    split: str | None = None
    """Column that says train, validation or test. By default the one called split or part; without
    one, the parts are cut from the rows."""
    group: str | None = None
    """Column of groups, such as a person: examples with the same value stay in one part. By default
    none."""
    fold: str | None = None
    """Column with the fold of each row, a number or a word, for sound:FILE and video:FILE. By
    default the one called fold."""
    names: str | None = None
    """A file with one class or tag in each line, in their order. Tags that it lacks are left out; a
    class that it lacks is an error. By default all are taken, sorted."""
    text: str | None = None
    """Column with the text, for text:PATH. By default the one called text, sentence or the like, or
    else the one with the longest cells."""


@dataclass(frozen=True)
class Text:
    """How texts of text:PATH are split into words."""

    encoding: str = "utf-8"
    """Encoding of the files: utf-8, latin-1, cp1252, or any other that Python knows."""
    cleaning: Literal["words", "blanks"] = "words"
    """`words` keeps letters, digits and ( ) , ! ? ' `, and splits off ( ) , ! ? and endings such as
    n't and 's as words of their own, as Kim 2014 does (https://arxiv.org/abs/1408.5882). `blanks`
    only splits at spaces."""
    lower_case: bool = True
    """Treat upper and lower case as the same: The and the are one word."""
    longest: int = 400
    """Cut texts after this many words; the number of texts that are cut is printed."""


@dataclass(frozen=True)
class Masks:
    """How the masks of masks:PATH are read."""

    classes: str | None = None
    """A file with the names of the classes, and perhaps their values and colours. By default
    classes.txt, classes.csv or classes.json beside the masks."""
    ignore: tuple[int, ...] | None = None
    """Pixel values that are void: they count neither in the loss nor in the score. By default 255,
    unless it is a class, and the classes called void, unlabeled, unknown or ignore."""


@dataclass(frozen=True)
class Data(Part):
    """The data, and how they are read and cut into parts."""

    name: str = "mnist"
    """A name of the TFDS catalog such as cifar10 (see `cnn-jax data list`), digits, shapes,
    folder:PATH, csv:FILE, npz:FILE, series:PATH, ucr:NAME, text:PATH, sound:PATH, video:PATH,
    masks:PATH, coco:PATH, voc:PATH or yolo:PATH. In Python also arrays (images, targets), a data
    set of `cnn_jax.from_arrays`, or a function that returns one of these (FILE.py:NAME on a command
    line)."""
    columns: Columns = Columns()
    validation: float = 0.1
    """Size of the validation part that is cut from the training examples: a fraction below 1, or a
    number of examples. With 0 nothing is validated, and the last state is tested. Not used if the
    data have a validation part."""
    test: float | None = None
    """Size of the test part that is cut from the training examples: a fraction below 1, or a number
    of examples. By default a tenth, or the last fold of sounds and videos that have folds. With 0
    nothing is tested. Not used if the data have a test part."""
    folds: int | None = None
    """Split the examples into this many folds, one of which is the test part: classes in
    proportion, groups whole. Sounds and videos with folds of their own use those. Not for data with
    a test or validation part. `--folds` runs all folds."""
    fold: int = 1
    """Which of the `folds` is the test part, from 1."""
    examples: int | None = None
    """Train on this many of the training examples, chosen by a fixed rule with classes in
    proportion. By default all."""
    image_size: int | None = None
    """Resize images to a square of this side in pixels when they are read. Needed if they differ in
    size. Images with boxes: by default 320. Images with masks keep their proportions, and this is
    the longer side."""
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """How images with boxes become square: `letterbox` keeps their proportions and pads them at the
    bottom or right, `stretch` does not. Predicted boxes are in pixels of the files either way."""
    skip_bad: bool = False
    """Leave out image, sound and video files that cannot be read, and images without a mask,
    instead of stopping with an error."""
    grey_range: tuple[int, int] | None = None
    """Which values of 16-bit grey images become black and white, such as 0 4095 for 12 bits; for
    folder:, csv: and masks:. By default 0 and the largest value of as many bits as the training
    images need."""
    full_depth: bool = False
    """Keep all values of 16-bit PNG files, instead of scaling them to 8 bits. TIFF files always
    keep theirs: 8 or 16 bits or floats, with any number of channels."""
    streaming: bool | None = None
    """Read images from disk while training, in worker processes, instead of holding all in memory.
    By default if `random_crop`, `central_crop` or `evaluation_size` is given, or from 8 GB of
    pixels on. Only for the TFDS catalog, folder:PATH and csv:FILE."""
    random_crop: tuple[float, float] | None = None
    """Train on a random part of each image, resized to `image_size`. The two numbers are the
    smallest and largest part of its area: 0.08 1 as for Inception
    (https://arxiv.org/abs/1409.4842)."""
    random_crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest ratio of width to height of `random_crop`."""
    central_crop: float | None = None
    """Evaluate the middle of each image, a square whose side is this part of the shorter side:
    0.875 is 224 of 256 pixels. Training does the same unless `random_crop` is given. By default the
    whole image, whatever its proportions."""
    evaluation_size: int | None = None
    """Side in pixels of the images in evaluation. By default `image_size`."""
    interpolation: Interpolation = "bilinear"
    """How streamed images are resized, always with antialiasing."""
    resizer: Resizer = "pillow"
    """What resizes streamed 8-bit images. `simd` is faster, and its values differ from those of
    Pillow by at most 1 of 255. It needs `pip install "cnn-jax[simd]"` and bilinear
    interpolation."""
    fill_missing: Literal["none", "linear"] = "none"
    """What to do if a value within a series is missing: `none` stops with an error, `linear` draws
    a line between its neighbours."""
    text: Text = Text()
    rate: int | None = None
    """Resample sounds to this many samples a second, such as 16000. By default the rate that most
    training files have."""
    frames: int | None = None
    """Keep at most this many frames of each video: of a longer one only every second, every third
    and so on. By default all."""
    masks: Masks = Masks()


@dataclass(frozen=True)
class Series:
    """How every series of numbers is prepared, in training and evaluation alike."""

    standardise: Literal["train", "each", "none"] = "train"
    """Subtract the mean and divide by the standard deviation, in each channel: of all training
    series (`train`, which keeps differences of level between series), of the series itself
    (`each`), or not at all (`none`)."""


@dataclass(frozen=True)
class Sound:
    """What the model gets of a sound, and random changes in training; 0 switches a change off."""

    window: float | None = None
    """Length in seconds that the model gets at once. Training takes a random window of each sound;
    evaluation averages the outputs of windows that cover it. Shorter sounds are padded with
    silence. By default the length of the longest sound."""
    overlap: float = 0.5
    """In evaluation, neighbouring windows overlap by at least this part of a window."""
    picture: Literal["log_mel", "none"] = "log_mel"
    """What the model gets: a `log_mel` picture (time, bands, 1) in decibels, which any model for
    images takes; or with `none` the samples themselves."""
    fft: int = 512
    """Samples in one frame of the picture, which is weighted by a Hann window; even."""
    hop: int = 160
    """Samples from one frame to the next."""
    bands: int = 64
    """Number of mel bands."""
    low: float = 50.0
    """Lowest frequency of the bands, in hertz."""
    high: float | None = None
    """Highest frequency of the bands, in hertz. By default half the sample rate."""
    floor: float = 80.0
    """Values more than this many decibels below the loudest of a picture are raised to that
    level."""
    deltas: bool = False
    """Add a second channel: how fast each band changes, measured over nine frames."""
    standardise: Literal["each", "bands", "none"] = "each"
    """Subtract the mean and divide by the standard deviation of each picture or window of samples
    (`each`); of each band of a picture (`bands`), which removes what a room or a microphone adds;
    or not at all (`none`)."""
    shift: float = 0.0
    """Shift each sound at random by up to this many seconds, earlier or later."""
    gain: float = 0.0
    """Make each sound louder or softer at random by up to this many decibels."""
    stretch: float = 0.0
    """Play each sound faster or slower at random by a factor of up to 1 + this, which also changes
    its pitch."""
    time_masks: int = 0
    """SpecAugment: blank this many random stripes of time in each picture
    (https://arxiv.org/abs/1904.08779)."""
    time_width: int = 32
    """Largest width of such a stripe of time, in frames."""
    band_masks: int = 0
    """SpecAugment: blank this many random stripes of mel bands in each picture."""
    band_width: int = 8
    """Largest width of such a stripe of bands, in bands."""
    between_class: bool = False
    """Train on mixtures of two sounds of different classes, to predict the share of each
    (https://arxiv.org/abs/1711.10282). They are weighted by loudness, and the mixture is as loud as
    one sound."""


@dataclass(frozen=True)
class Video:
    """Which frames of a video the model gets. If a video is too short, its frames are repeated."""

    frames: int = 8
    """Number of frames that the model gets at once."""
    sampling: Literal["segments", "dense"] = "segments"
    """`segments` divides the video into `frames` equal parts and takes one frame of each: a random
    one in training, the middle one in evaluation (https://arxiv.org/abs/1608.00859). `dense` takes
    frames that are `step` apart, in training from a random place on."""
    step: int = 1
    """Distance of the frames of `dense`: 2 takes every second frame."""
    clips: int = 1
    """In evaluation, take frames this many times, at places spread over the video, and average the
    outputs. Each video counts once."""
