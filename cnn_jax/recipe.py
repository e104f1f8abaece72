"""The frozen values that describe one experiment.

A recipe holds all that decides a result and nothing that does not: where the run folder
lies or how many seeds are run belongs to the launch (`cnn_jax.launch`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from cnn_jax.duration import Duration, epochs, percent, steps
from cnn_jax.own.parts import Part
from cnn_jax.recipe_of_data import Columns as Columns
from cnn_jax.recipe_of_data import Data as Data
from cnn_jax.recipe_of_data import Interpolation as Interpolation
from cnn_jax.recipe_of_data import Masks as Masks
from cnn_jax.recipe_of_data import Resizer as Resizer
from cnn_jax.recipe_of_data import Series as Series
from cnn_jax.recipe_of_data import Sound as Sound
from cnn_jax.recipe_of_data import Text as Text
from cnn_jax.recipe_of_data import Video as Video

Views = Literal["none", "mirror", "six"]

Options = Mapping[str, Any]
"""Further fields of a model or optimizer by name, on the command line as `name=value`."""

Code = str | None
"""A function of one's own: a value in Python, FILE.py:NAME on a command line. A recipe holds its
name, see `cnn_jax.own.values`."""


@dataclass(frozen=True)
class Preprocess:
    """What is done to every image, in training and evaluation alike."""

    size: int | None = None
    """Side in pixels of the model's input; by default the images stay as they are."""
    fit: Literal["resize", "pad"] = "resize"
    """Reach `size` by resizing (bilinear, antialiased) or by padding with zeros."""
    mean: tuple[float, ...] | None = None
    """Channel means that are subtracted, on the scale 0 to 1; by default those of the
    training images."""
    std: tuple[float, ...] | None = None
    """Channel deviations that are divided by, on the scale 0 to 1; by default those of the
    training images."""


@dataclass(frozen=True)
class Augment(Part):
    """Random changes to training images; zero or `none` leaves a change out."""

    pad_crop: int = 0
    """Pad by so many pixels, then crop the old size at a random place."""
    pad_mode: Literal["zero", "reflect"] = "zero"
    """What `pad_crop` pads with."""
    crop_size: tuple[int, int] | None = None
    """Learn from a part of this height and width, at a random place of each image, where masks or
    boxes are told; beyond the image it shows the mean colour, of which nothing is told."""
    crop_scale: tuple[float, float] | None = None
    """Resize by a factor between these two, drawn anew for each image, before `crop_size` is cut
    or, without one, the size of the images."""
    mosaic: float = 0.0
    """Probability that four images are shown as one, each in another size, where boxes are told
    (https://arxiv.org/abs/2004.10934); before all other changes."""
    mirror: Literal["none", "random", "alternating"] = "none"
    """Mirror left-right at random, or at random in the first epoch and in turn thereafter
    (https://arxiv.org/abs/2404.00498, section 3.6)."""
    rotation: float = 0.0
    """Rotate by up to so many degrees either way."""
    translation: float = 0.0
    """Shift by up to so large a part of the side, each way."""
    scale: float = 0.0
    """Change the size by a factor of up to 1 + this, larger or smaller."""
    brightness: float = 0.0
    """Multiply pixel values by a factor in 1 ± this."""
    contrast: float = 0.0
    """Multiply the distance from the image's mean grey by a factor in 1 ± this."""
    saturation: float = 0.0
    """Multiply the distance from each pixel's grey by a factor in 1 ± this."""
    rand_augment: int = 0
    """Apply so many operations to each image, drawn for each one by one, such as rotate, equalize
    or posterize (https://arxiv.org/abs/1909.13719)."""
    rand_magnitude: float = 9.0
    """How strong the operations of `rand_augment` are, from 0 to 10, as in timm; torchvision
    counts to 30, and its 9 is 3 here."""
    rand_magnitude_std: float = 0.0
    """Draw the magnitude of each operation of `rand_augment` around `rand_magnitude` with this
    standard deviation."""
    rand_probability: float = 1.0
    """Probability that an operation which `rand_augment` has drawn is applied; 0.5 in timm."""
    rand_ranges: Literal["torchvision", "timm", "timm_increasing"] = "torchvision"
    """Which operations `rand_augment` draws from, and what a magnitude means: the 14 of the paper
    as in torchvision, or 15 as in timm, all growing stronger with the magnitude (`inc1`) or not.
    timm's `rand-m6-mstd0.5-inc1` is two operations, 6, 0.5, 0.5 and `timm_increasing`."""
    trivial_augment: bool = False
    """Apply one operation to each image, its magnitude drawn from wide ranges
    (https://arxiv.org/abs/2103.10158)."""
    fill: Literal["grey", "mean", "black"] = "grey"
    """What `rand_augment` and `trivial_augment` show where an image does not reach: a grey of
    128/255, the channel means that are subtracted, or zeros."""
    cutout: int = 0
    """Blank a square of so many pixels a side at a random place
    (https://arxiv.org/abs/1708.04552)."""
    erase: float = 0.0
    """Probability with which a rectangle of an image is erased
    (https://arxiv.org/abs/1708.04896)."""
    erase_area: tuple[float, float] = (0.02, 0.33)
    """Least and greatest part of the image that `erase` takes."""
    erase_aspect: tuple[float, float] = (0.3, 3.3)
    """Least and greatest ratio of height to width of what `erase` takes."""
    erase_value: Literal["zero", "noise"] = "zero"
    """What `erase` leaves: zero, which is the mean of the data, or normal noise in every pixel."""
    mixup: float = 0.0
    """Blend pairs of examples with weights from Beta(this, this)
    (https://arxiv.org/abs/1710.09412)."""
    cutmix: float = 0.0
    """Paste a rectangle of another example, its area from Beta(this, this)
    (https://arxiv.org/abs/1905.04899). Together with mixup one of the two is drawn a step."""
    own: Code = None
    """A pure function (key, images (b, h, w, c) float32 from 0 to 1) -> images of that shape, which
    comes after all changes that stand before the normalisation."""


@dataclass(frozen=True)
class Model(Part):
    """Which network."""

    name: str = "lenet5_relu"
    """A name of the registry; `cnn-jax models` lists them. In Python also a class of your own, as
    `cnn_jax.models.contract` says."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; parameters and batch statistics stay float32."""
    norm_examples: int | None = None
    """Batch normalisations take their statistics over groups of so many examples (ghost batches,
    https://arxiv.org/abs/1705.08741), by default over the whole batch; batch size divided by
    devices gives each device statistics of its own, as in frameworks that do not synchronise."""
    options: Options = field(default_factory=dict)
    """Further fields of the model, as `name=value`, such as `widths=32,64 dropout=0.5`; a command
    line adds to those of the recipe."""


@dataclass(frozen=True)
class Init:
    """What the parameters start from."""

    source: Annotated[str | None, tyro.conf.arg(aliases=["--init-from"])] = None
    """By default random values, on a command line `none`. Else the model of a run folder, of a
    `.safetensors` file, of a PyTorch state dict (`.pth`, `.pt`, `.th`, `.bin`) or of a folder that
    Orbax wrote for another program, or `imagenet`: weights that are published for the model."""
    names: str | None = None
    """A JSON file that says how the source names the parts of the model, where it does so
    neither as we do nor as torchvision or timm: `{"names": [["fc", "head"], ...]}`, patterns of
    its modules with our paths."""
    body: bool = False
    """The source is a net that classifies images; take it for the body of the model, which has one
    of that name, and leave the rest at its random values."""
    new_head: bool = False
    """Begin the layer that gives the logits anew, its kernel at zero: for other classes."""
    matching: bool = False
    """Take only the arrays that fit by name and shape, and leave the rest at their random values;
    both are listed. By default whatever does not fit is refused."""
    checkpoint: str = "best"
    """Of a run folder: best, latest, or a step."""
    code: tuple[str, ...] = ()
    """Of a run folder: files to use for code of its own that has changed, moved or gone since."""
    words: str | None = None
    """A file of word vectors, in the text of GloVe or word2vec or as word2vec's `.bin`: words that
    it has begin with its vectors, others at random. Their length is `embedding` of the model."""


@dataclass(frozen=True)
class Task(Part):
    """What the model is trained for."""

    name: str = "classification"
    """classification (one class of several), binary (one of two, by one logit), tagging (any
    number of tags), regression (numbers), segmentation (the class of each pixel) or detection
    (boxes with classes). In Python also a class of your own, such as one derived from these."""
    options: Options = field(default_factory=dict)
    """Further fields of the task, as `name=value`, such as `angle=True` of regression."""


@dataclass(frozen=True)
class Loss(Part):
    """What is minimised."""

    name: str | None = None
    """By default the task's own. Classification: cross_entropy, binary_cross_entropy (summed over
    classes), squared_error (half, summed over classes), or map, the maximum a posteriori criterion
    of LeCun et al. 1998, eq. 9. Binary: binary_cross_entropy. Tagging: binary_cross_entropy or
    asymmetric. Regression: squared_error (half), absolute_error, huber or bins. Segmentation:
    cross_entropy, focal, dice, lovasz, or cross_entropy_dice and cross_entropy_lovasz, which are
    sums of two. A detector has losses of its own. In Python also a function of your own, of the
    arguments that these have (`cnn_jax.tasks.losses`)."""
    label_smoothing: float = 0.0
    """Part of the target probability that is spread evenly over all classes."""
    options: Options = field(default_factory=dict)
    """Further arguments of the loss, as `name=value`, such as `delta=0.5` of huber, or
    `weights=median_frequency` of segmentation."""


@dataclass(frozen=True)
class Optimizer(Part):
    """How parameters are updated."""

    name: str = "sgd"
    """An optimizer of optax or optax.contrib that takes a learning rate. In Python also a function
    of the learning rate, such as `lambda rate: optax.chain(...)`."""
    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--lr"])] = 0.1
    """Peak learning rate, in terms of the mean loss of the global batch."""
    options: Options = field(default_factory=dict)
    """Further arguments of the optimizer, as `name=value`, such as `momentum=0.9
    nesterov=True`; a command line adds to those of the recipe."""
    weight_decay: float = 0.0
    """Decoupled where the optimizer has it built in (adamw, lamb, lion, muon), else added to
    the gradient."""
    decay: str = "kernel$"
    """Regular expression that finds the parameter paths which weight decay applies to."""
    decay_factors: tuple[str, ...] = ()
    """Factors of the weight decay of those paths as `pattern=factor`, such as `/bias$=0.1`; of
    several patterns that are found in a path the first counts."""
    freeze: str | None = None
    """Regular expression that finds the paths of parameters which stay as they are; a batch
    normalisation that is frozen keeps its running statistics and normalises by them.
    `^(?!head/)` trains the last layer alone: a linear probe."""
    until: tuple[str, ...] = ()
    """What is trained in the first part of the run only, as `pattern=duration`, such as
    `^stem/=3epochs`: after it these parameters are not updated, so that neither momentum nor
    decay moves them. Of several patterns that are found in a path the first counts."""
    factors: tuple[str, ...] = ()
    """Factors of the learning rate as `pattern=factor`, such as `^head/=10 ^stem/=0.1`; of
    several patterns that are found in a path the first counts."""
    layer_decay: float | None = None
    """Multiply the learning rate by this for every part of the model between a parameter and
    the last layer: early parts change less (https://arxiv.org/abs/1801.06146, section 3.2). Parts
    are what stands first in the paths, such as stem, stage1."""
    max_norm: tuple[str, ...] = ()
    """Greatest norm of the weights that lead to an output, as `pattern=norm`, such as
    `^head/kernel$=3`: what is longer after an update is scaled down to it
    (https://arxiv.org/abs/1207.0580). Of several patterns that are found in a path the first
    counts."""
    clip_norm: float | None = None
    """Scale the gradient down to this global norm where it is larger."""
    accumulate: int = 1
    """Compute the gradient of a batch in so many parts, one after the other, to save memory."""


@dataclass(frozen=True)
class Schedule(Part):
    """The learning rate over the training, as a factor of its peak."""

    name: Literal["constant", "step", "cosine", "linear", "one_cycle", "own"] = "cosine"
    """Stay; fall by `factor` at each of `boundaries`; fall to `final` as half a cosine or
    linearly; or rise and fall as cosines (one-cycle), the rise taking `warmup`. `own` is a function
    that is given in Python: of the step, which gives the learning rate itself; or of the peak
    learning rate and the number of steps, which gives such a function."""
    warmup: Duration = percent(0)
    """Linear rise from `initial` at the start (one-cycle: cosine rise)."""
    initial: float = 0.0
    """Factor at the start of the warm-up."""
    final: float = 0.0
    """Factor at the end of cosine, linear and one-cycle."""
    boundaries: tuple[Duration, ...] = (percent(50), percent(75))
    """When the schedule `step` falls."""
    factor: float = 0.1
    """What the schedule `step` multiplies by."""
    own: Code = None
    """The function of the schedule `own`."""

    def __post_init__(self) -> None:
        """Takes a function that is given first for `own`."""
        if not isinstance(self.name, str):
            object.__setattr__(self, "own", self.name)
            object.__setattr__(self, "name", "own")
        super().__post_init__()


@dataclass(frozen=True)
class Lookahead:
    """A slow copy of parameters and batch statistics, to which training is set back.

    At each multiple of `every` steps the copy moves towards them and they become the copy; after
    the last step of the run they become it whatever the step (https://arxiv.org/abs/1907.08610).
    """

    every: int | None = None
    """So many steps apart; by default there is no copy."""
    decay: float = 0.5
    """Part of itself that the copy keeps at the end of the run."""
    power: float = 0.0
    """The part that it keeps before is `decay` times this power of the part of the run that is
    done: 0 keeps it constant, 3 averages little at first (https://arxiv.org/abs/2404.00498)."""


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop before the end."""

    patience: int | None = None
    """Stop after so many validations without improvement; by default never."""
    min_change: float = 0.0
    """Smallest change of the metric that counts as an improvement."""


@dataclass(frozen=True)
class Checkpoints(Part):
    """What is kept of a run."""

    every: Duration = epochs(1)
    """How often the state is saved for resuming."""
    keep_latest: int = 2
    """How many of the newest are kept."""
    keep_best: int = 1
    """How many of the best by `metric` are kept."""
    metric: str | None = None
    """The validation metric that says which is best, by default the task's own: accuracy of
    classification, map of tagging, mae of regression, mean_iou of segmentation, ap of detection.
    One of your own by its function's name."""


@dataclass(frozen=True)
class Recipe(Part):
    """One experiment: everything that decides its result."""

    name: str
    """Name of the experiment, and by default of its run folder."""
    data: Data = field(default_factory=Data)
    task: Task = field(default_factory=Task)
    preprocess: Preprocess = Preprocess()
    series: Series = field(default_factory=Series)
    sound: Sound = field(default_factory=Sound)
    video: Video = field(default_factory=Video)
    augment: Augment = Augment()
    model: Model = field(default_factory=Model)
    init: Init = Init()
    loss: Loss = Loss()
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = Schedule()
    lookahead: Lookahead = Lookahead()
    checkpoints: Checkpoints = Checkpoints()
    early_stopping: EarlyStopping = EarlyStopping()
    batch_size: Annotated[int, tyro.conf.arg(aliases=["--batch"])] = 128
    """Examples in a step, over all devices."""
    duration: Annotated[Duration, tyro.conf.arg(aliases=["--epochs"])] = epochs(10)
    """How long to train: epochs, or for instance `500steps`, `1e6examples`."""
    validate_every: Duration = epochs(1)
    """How often the validation part is evaluated."""
    views: Views = "none"
    """What every evaluation averages the logits of, validation and prediction included: the image
    alone; with its mirror image; or with both shifted by one pixel along a diagonal, either way,
    each with half the weight (https://arxiv.org/abs/2404.00498, section 3.5)."""
    log_every: Duration = steps(50)
    """How often training metrics are written."""
    log_norms: bool = False
    """Write gradient and update norms of every layer, to see vanishing and exploding
    gradients."""
    ema: float | None = None
    """Decay per step of an exponential moving average of the parameters, which evaluation
    then uses; after n steps at most (1 + n) / (10 + n), so that also a short run forgets the
    parameters it began with."""
    seed: int = 0
    """Seed of the initial parameters, the order of examples, augmentation and dropout."""
    metrics: tuple[str, ...] = ()
    """Further metrics: functions of your own (outputs, targets as the loss has them) -> (b,), of
    which evaluation takes the mean. One with an attribute `higher = True` is better if larger. On
    a command line each is written FILE.py:NAME, as any code of your own."""

    def __post_init__(self) -> None:
        """Takes the first value of a part for the part: `model=MyNet`, `data=(x, y)`."""
        for kind in (Data, Task, Model, Loss, Optimizer, Schedule):
            name = kind.__name__.lower()
            if not isinstance(value := getattr(self, name), kind):
                object.__setattr__(self, name, kind(value))
        super().__post_init__()
