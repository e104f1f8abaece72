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
    """How every image is prepared, in training and evaluation alike."""

    size: int | None = None
    """Bring every image to a square of this many pixels a side, as `fit` says. By default images
    keep their size. Not for images with masks or boxes: use `data.image_size` there."""
    fit: Literal["resize", "pad"] = "resize"
    """How images get to `size`: `resize` (bilinear, antialiased, whatever the proportions) or `pad`
    with zeros on all sides."""
    mean: tuple[float, ...] | None = None
    """Mean to subtract from each channel, on a scale from 0 to 1, such as 0.485 0.456 0.406. By
    default the mean that the initial weights were trained with, if known, else that of the training
    images."""
    std: tuple[float, ...] | None = None
    """Standard deviation to divide each channel by, on a scale from 0 to 1, such as 0.229 0.224
    0.225. The default is found as that of `mean`."""


@dataclass(frozen=True)
class Augment(Part):
    """Random changes to training images (augmentation); 0 or `none` switches a change off."""

    pad_crop: int = 0
    """Pad each image by this many pixels on every side, then crop it to its old size at a random
    place."""
    pad_mode: Literal["zero", "reflect"] = "zero"
    """What `pad_crop` pads with: `zero`, or the image reflected at its border."""
    crop_size: tuple[int, int] | None = None
    """Train on crops of this height and width in pixels, at a random place of each image. Only for
    images with masks or boxes. What lies outside the image has the mean colour, and is void in
    masks."""
    crop_scale: tuple[float, float] | None = None
    """Resize each image by a random factor between these two, such as 0.6 1.6, then crop it to
    `crop_size`, or to its old size if that is not given. Only for images with masks or boxes."""
    mosaic: float = 0.0
    """Probability, from 0 to 1, of combining four images into one, each at another size
    (https://arxiv.org/abs/2004.10934). Comes before all other changes. Only for images with
    boxes."""
    mirror: Literal["none", "random", "alternating"] = "none"
    """Flip images left to right: `random` flips half of them, drawn anew each time; `alternating`
    does so in the first epoch, and then flips each image in every other epoch
    (https://arxiv.org/abs/2404.00498, section 3.6)."""
    rotation: float = 0.0
    """Rotate each image by a random angle of up to this many degrees, in either direction."""
    translation: float = 0.0
    """Shift each image at random by up to this part of its height and width: 0.1 is a tenth, in any
    direction."""
    scale: float = 0.0
    """Enlarge or shrink each image at random by a factor of up to 1 + this: 0.1 is from 1/1.1 to
    1.1."""
    brightness: float = 0.0
    """Multiply pixel values by a random factor in 1 ± this: 0.2 is from 0.8 to 1.2. At most 1."""
    contrast: float = 0.0
    """Multiply the distance of pixels from the mean grey of their image by a random factor in 1 ±
    this. At most 1."""
    saturation: float = 0.0
    """Multiply the distance of pixels from their own grey by a random factor in 1 ± this. At most
    1. Only for images with three channels."""
    rand_augment: int = 0
    """RandAugment: apply this many random operations, such as rotate, equalize or posterize, to
    each image (https://arxiv.org/abs/1909.13719)."""
    rand_magnitude: float = 9.0
    """Strength of the operations of `rand_augment`, from 0 to 10, as in timm. The scale of
    torchvision goes to 30: its 9 is 3 here."""
    rand_magnitude_std: float = 0.0
    """Standard deviation of the strength: each operation of `rand_augment` draws its own around
    `rand_magnitude`."""
    rand_probability: float = 1.0
    """Probability, from 0 to 1, that an operation drawn by `rand_augment` is applied; timm uses
    0.5."""
    rand_ranges: Literal["torchvision", "timm", "timm_increasing"] = "torchvision"
    """What `rand_augment` draws from: `torchvision`, 14 operations; `timm`, 15, some of which get
    weaker with the magnitude, as in the original; `timm_increasing` (timm's `inc1`), where all get
    stronger. timm's `rand-m6-mstd0.5-inc1` is 2 operations, 6, 0.5, 0.5 and `timm_increasing`."""
    trivial_augment: bool = False
    """TrivialAugment: apply one random operation of random strength to each image
    (https://arxiv.org/abs/2103.10158). Not together with `rand_augment`."""
    fill: Literal["grey", "mean", "black"] = "grey"
    """Colour of the areas that `rand_augment` and `trivial_augment` leave empty: a grey of 128/255,
    the channel means, or black."""
    cutout: int = 0
    """Cover a square of this many pixels a side, at a random place, with the mean colour
    (https://arxiv.org/abs/1708.04552)."""
    erase: float = 0.0
    """Probability, from 0 to 1, of erasing a random rectangle of an image
    (https://arxiv.org/abs/1708.04896)."""
    erase_area: tuple[float, float] = (0.02, 0.33)
    """Smallest and largest area of the rectangle of `erase`, as a part of the image."""
    erase_aspect: tuple[float, float] = (0.3, 3.3)
    """Smallest and largest ratio of height to width of the rectangle of `erase`."""
    erase_value: Literal["zero", "noise"] = "zero"
    """What `erase` fills the rectangle with: `zero`, which is the mean colour, or `noise`, a normal
    random number in every pixel and channel."""
    mixup: float = 0.0
    """Blend each image and its target with another of the batch, with a weight drawn from
    Beta(this, this), such as 0.2; 0 is off (https://arxiv.org/abs/1710.09412)."""
    cutmix: float = 0.0
    """Paste a random rectangle of another image, with a share of its target; the area is drawn from
    Beta(this, this) (https://arxiv.org/abs/1905.04899). With mixup as well, each step uses one of
    the two at random."""
    own: Code = None
    """Your own function (key, images) -> images, images being (b, h, w, c) float32 from 0 to 1; on
    a command line FILE.py:NAME. It must be pure. It runs after the changes of colour, and before
    normalisation, cutout, erase, mixup and cutmix."""


@dataclass(frozen=True)
class Model(Part):
    """The network."""

    name: str = "lenet5_relu"
    """Name of a model, such as resnet18; `cnn-jax models` lists all. Or a class of your own, see
    `cnn_jax.models.contract`: the class in Python, FILE.py:NAME on a command line."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number type that the network computes in. Parameters and batch statistics are always
    float32."""
    norm_examples: int | None = None
    """Batch normalisation takes its statistics over groups of this many examples (ghost batches,
    https://arxiv.org/abs/1705.08741). By default over the whole batch, on all devices. The batch
    size divided by the number of devices gives each device its own statistics."""
    options: Options = field(default_factory=dict)
    """Further options of the model as name=value, such as widths=32,64 dropout=0.5; `cnn-jax models
    NAME --json` lists them. On a command line they are added to those of the recipe, if that has
    the same model."""


@dataclass(frozen=True)
class Init:
    """The initial parameters."""

    source: Annotated[str | None, tyro.conf.arg(aliases=["--init-from"])] = None
    """Where the initial weights come from: a run folder, a `.safetensors` file, a PyTorch state
    dict (`.pth`, `.pt`, `.th`, `.bin`), a folder written by Orbax, or `imagenet` for the published
    weights of the model. By default they are random; `none` on a command line."""
    names: str | None = None
    """A JSON file that maps the names of the source to ours: `{"names": [["fc", "head"], ...]}`.
    Only needed if the source uses neither our names nor those of torchvision or timm."""
    body: bool = False
    """The source is an image classifier: load it into the body (backbone) of the model, and leave
    the rest random."""
    new_head: bool = False
    """Do not load the last layer, which gives the logits: for data with other classes. Its kernel
    starts at zero. Not together with `body`, which loads no last layer."""
    matching: bool = False
    """Load only the arrays whose name and shape fit, and leave the rest random; both are listed. By
    default arrays that do not fit are an error."""
    checkpoint: str = "best"
    """If the source is a run folder: which checkpoint, best, latest, or a step such as 500."""
    code: tuple[str, ...] = ()
    """If the source is a run folder: files with its own code, to use if that has changed, moved or
    been deleted since."""
    words: str | None = None
    """A file of word vectors: text of GloVe or word2vec, or word2vec's `.bin`. Words in it start
    with their vectors, all others at random. Set the `embedding` option of the model to their
    length."""


@dataclass(frozen=True)
class Task(Part):
    """What the model is trained for."""

    name: str = "classification"
    """classification (one of several classes), binary (one of two classes, one logit), tagging (any
    number of tags), regression (numbers), segmentation (the class of each pixel) or detection
    (boxes with classes). Or a class of your own: the class in Python, FILE.py:NAME on a command
    line."""
    options: Options = field(default_factory=dict)
    """Further options of the task as name=value, such as angle=True for regression of angles in
    degrees. On a command line they replace those of the recipe."""


@dataclass(frozen=True)
class Loss(Part):
    """The loss that training minimises."""

    name: str | None = None
    """By default that of the task. Classification: cross_entropy, binary_cross_entropy,
    squared_error, or map (LeCun et al. 1998, eq. 9). Binary: binary_cross_entropy. Tagging:
    binary_cross_entropy or asymmetric. Regression: squared_error (half the square), absolute_error,
    huber or bins. Segmentation: cross_entropy, focal, dice, lovasz, or the sums cross_entropy_dice
    and cross_entropy_lovasz. Detectors have their own. Or a function of your own, with the
    arguments of those in `cnn_jax.tasks.losses`: the function in Python, FILE.py:NAME on a command
    line."""
    label_smoothing: float = 0.0
    """Part of the target probability that is spread evenly over all classes, such as 0.1; below
    1."""
    options: Options = field(default_factory=dict)
    """Further arguments of the loss as name=value, such as delta=0.5 for huber, or
    weights=median_frequency for segmentation, which gives rare classes more weight. On a command
    line they replace those of the recipe."""


@dataclass(frozen=True)
class Optimizer(Part):
    """How parameters are updated."""

    name: str = "sgd"
    """Name of an optimizer of optax or optax.contrib that takes a learning rate, such as sgd, adamw
    or muon. Or a function of the learning rate, such as `lambda rate: optax.chain(...)`: the
    function in Python, FILE.py:NAME on a command line."""
    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--lr"])] = 0.1
    """Peak learning rate, which `schedule` multiplies. The loss is the mean over the whole batch,
    so it need not change with the number of devices."""
    options: Options = field(default_factory=dict)
    """Further arguments of the optimizer as name=value, such as momentum=0.9 nesterov=True. On a
    command line they are added to those of the recipe, if that has the same optimizer."""
    weight_decay: float = 0.0
    """Weight decay. It is decoupled if the optimizer has it built in (adamw, lamb, lion, muon),
    else it is added to the gradient."""
    decay: str = "kernel$"
    """Regular expression for the paths of the parameters that have weight decay; by default kernels
    only. `.` means all."""
    decay_factors: tuple[str, ...] = ()
    """Multiply the weight decay of some of the parameters that `decay` finds, as pattern=factor,
    such as `^head/=0.1`. The first pattern that is found in a path counts."""
    freeze: str | None = None
    """Regular expression for the paths of parameters that are not trained. Their batch
    normalisation uses and keeps its running statistics. `^(?!head/)` trains only the last layer (a
    linear probe)."""
    until: tuple[str, ...] = ()
    """Train some parameters only in the first part of the run, as pattern=duration, such as
    `^stem/=3epochs`; after that they do not change. The first pattern that is found in a path
    counts."""
    factors: tuple[str, ...] = ()
    """Multiply the learning rate of some parameters, as pattern=factor, such as `^head/=10
    ^stem/=0.1`. The first pattern that is found in a path counts."""
    layer_decay: float | None = None
    """Multiply the learning rate by this, such as 0.8, once for every part of the model between a
    parameter and the last layer (https://arxiv.org/abs/1801.06146, section 3.2). Parts are the
    first words of paths, such as stem, stage1."""
    max_norm: tuple[str, ...] = ()
    """Largest norm of the weights that lead to one output, as pattern=norm, such as
    `^head/kernel$=3`; longer ones are scaled down after each update
    (https://arxiv.org/abs/1207.0580). The first pattern that is found in a path counts."""
    clip_norm: float | None = None
    """Gradient clipping: if the norm of the whole gradient is larger than this, scale it down to
    it."""
    accumulate: int = 1
    """Compute the gradient of a batch in this many parts, one after the other, to save memory."""


@dataclass(frozen=True)
class Schedule(Part):
    """The learning rate over the run, as a factor of its peak."""

    name: Literal["constant", "step", "cosine", "linear", "one_cycle", "own"] = "cosine"
    """`constant`; `step`: multiply by `factor` at each of `boundaries`; `cosine` or `linear`: fall
    to `final`; `one_cycle`: rise during `warmup`, then fall to `final`, both as cosines; `own`: a
    function of yours."""
    warmup: Duration = percent(0)
    """Warm-up: the rate rises linearly from `initial` to the peak in this time, such as 5% or
    3epochs; for one_cycle it rises as a cosine."""
    initial: float = 0.0
    """Factor of the peak at the start of the warm-up."""
    final: float = 0.0
    """Factor of the peak at the end of cosine, linear and one_cycle."""
    boundaries: tuple[Duration, ...] = (percent(50), percent(75))
    """When the schedule `step` multiplies the rate, such as 50% 75%, counted from the start."""
    factor: float = 0.1
    """Factor that the schedule `step` multiplies by at each boundary."""
    own: Code = None
    """The function of the schedule `own`: of the step, giving the learning rate; or of the peak and
    the number of steps, giving such a function. Schedule(FUNCTION) in Python, FILE.py:NAME on a
    command line."""

    def __post_init__(self) -> None:
        """Takes a function that is given first for `own`."""
        if not isinstance(self.name, str):
            object.__setattr__(self, "own", self.name)
            object.__setattr__(self, "name", "own")
        super().__post_init__()


@dataclass(frozen=True)
class Lookahead:
    """Set training back, every few steps, to a slow copy of the parameters (lookahead).

    Every `every` steps the copy moves towards the parameters and batch statistics, which then take
    the values of the copy. After the last step of the run they take its values in any case
    (https://arxiv.org/abs/1907.08610).
    """

    every: int | None = None
    """Number of steps between updates of the slow copy; by default there is none."""
    decay: float = 0.5
    """Share of itself that the slow copy keeps at an update, from 0 to below 1: this is its value
    at the end of the run."""
    power: float = 0.0
    """Before that, the share is `decay` times (the part of the run that is done) to this power: 0
    keeps it constant, 3 averages little at first (https://arxiv.org/abs/2404.00498)."""


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop before the end."""

    patience: int | None = None
    """Stop after this many validations in a row in which `checkpoints.metric` has not improved; by
    default never."""
    min_change: float = 0.0
    """Smallest change of the metric that counts as an improvement."""


@dataclass(frozen=True)
class Checkpoints(Part):
    """Which checkpoints of a run are kept."""

    every: Duration = epochs(1)
    """How often the state is saved, to resume from, such as 2epochs or 500steps. It is also saved
    after every validation."""
    keep_latest: int = 2
    """How many of the newest checkpoints are kept."""
    keep_best: int = 1
    """How many of the best checkpoints by `metric` are kept."""
    metric: str | None = None
    """Validation metric that decides which checkpoint is the best. By default that of the task:
    accuracy (classification), auroc (binary), map (tagging), mae (regression), mean_iou
    (segmentation), ap (detection). A metric of your own has the name of its function."""


@dataclass(frozen=True)
class Recipe(Part):
    """One experiment: everything that decides its result."""

    name: str
    """Name of the experiment; by default also of its run folder, runs/NAME."""
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
    """Number of examples in a training step, on all devices together."""
    duration: Annotated[Duration, tyro.conf.arg(aliases=["--epochs"])] = epochs(10)
    """How long to train: a number of epochs such as 20, or 500steps, or 1e6examples."""
    validate_every: Duration = epochs(1)
    """How often the model is evaluated on the validation part, such as 2epochs or 10%."""
    views: Views = "none"
    """Average the logits of several views of each image in every evaluation and prediction:
    `mirror` is the image and its mirror image; `six` adds both shifted by one pixel along a
    diagonal, each way, with half the weight (https://arxiv.org/abs/2404.00498, section 3.5)."""
    log_every: Duration = steps(50)
    """How often training metrics are written, such as 50steps."""
    log_norms: bool = False
    """Also write the norms of gradients and updates of every layer, to see whether gradients vanish
    or explode."""
    ema: float | None = None
    """Evaluate an exponential moving average of the parameters that keeps this share of itself at
    each step, such as 0.999. After n steps it keeps at most (1 + n) / (10 + n), so that a short run
    forgets its initial parameters."""
    seed: int = 0
    """Seed of the initial parameters, the order of examples, augmentation and dropout."""
    metrics: tuple[str, ...] = ()
    """Metrics of your own: functions (outputs, targets) -> (b,), whose mean is evaluated; targets
    are those of the loss. Set `higher = True` on a function if larger is better. In Python the
    functions, on a command line FILE.py:NAME for each."""

    def __post_init__(self) -> None:
        """Takes the first value of a part for the part: `model=MyNet`, `data=(x, y)`."""
        for kind in (Data, Task, Model, Loss, Optimizer, Schedule):
            name = kind.__name__.lower()
            if not isinstance(value := getattr(self, name), kind):
                object.__setattr__(self, name, kind(value))
        super().__post_init__()
