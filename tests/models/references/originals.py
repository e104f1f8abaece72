"""Which original each of our models is compared with, and where in it our activations are.

Without PyTorch, so that the test can read it as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

CLASSES = 10


@dataclass(frozen=True)
class Original:
    """A model of torchvision or timm.

    Attributes:
      constructor: a function by its full name; called with num_classes and the options.
      stages: the original's module for each of our activations, or `MODULE<` for its input.
      size: side of the images in pixels.
      options: arguments of the constructor.
      ours: options of our model.
      frames: of each clip, of nets for videos; 0 of those for images.
      hidden: units of the hidden dense layers, on both sides, where their thousands would take
        most of the time.
    """

    constructor: str
    stages: Mapping[str, str]
    size: int = 64
    options: Mapping[str, object] = field(default_factory=dict)
    ours: Mapping[str, object] = field(default_factory=dict)
    hidden: int | None = None
    frames: int = 0


def timm(name, stages, **options):
    """A model of timm."""
    return Original("timm.create_model", stages, options={"model_name": name, **options})


def numbered(theirs, numbers, first=1):
    """Our stages `first` onwards as the modules with these numbers."""
    return {f"stage{i}": f"{theirs}{number}" for i, number in enumerate(numbers, start=first)}


_LAYERS = {"pool": "maxpool", **numbered("layer", range(1, 5))}
_EFFICIENTNET = {"stem": "features.0", **numbered("features.", range(1, 8)), "last": "features.8"}

_SHALLOW = {"body_options": {"depths": (1, 1, 1, 2)}}
_RESNET_BODY = {f"body/{ours}": f"backbone.{theirs}" for ours, theirs in _LAYERS.items()}
_AUXILIARY = {"aux": "aux_classifier"}
_UNTRAINED = {"weights": None, "weights_backbone": None}

_VIDEO = {"stem": "stem", **numbered("layer", range(1, 5))}


def video(name):
    """A net of torchvision for videos."""
    return Original(f"torchvision.models.video.{name}", _VIDEO, size=32, frames=8)


ORIGINALS = {
    "mc3_18": video("mc3_18"),
    "r2plus1d_18": video("r2plus1d_18"),
    "r3d_18": video("r3d_18"),
    "alexnet": Original(
        "torchvision.models.alexnet",
        {
            **numbered("features.", (1, 4, 11)),
            "features": "features.12",
            "embedding": "classifier.5",
        },
        hidden=64,
    ),
    "convnext_tiny": Original(
        "torchvision.models.convnext_tiny",
        {
            "stem_norm": "features.0",
            **numbered("features.", (1, 3, 5, 7)),
            "embedding": "classifier.2<",
        },
    ),
    "deeplabv3_mobilenet_v3_large": Original(
        "torchvision.models.segmentation.deeplabv3_mobilenet_v3_large",
        {
            "body/stage2": "backbone.3",
            "body/stage4": "backbone.12",
            "body/features": "backbone.16",
            "classifier/aspp": "classifier.0",
            **_AUXILIARY,
        },
        size=50,
        options=_UNTRAINED | {"aux_loss": True},
    ),
    "deeplabv3_resnet50": Original(
        "shallow.deeplabv3_resnet",
        {**_RESNET_BODY, "classifier/aspp": "classifier.0", **_AUXILIARY},
        size=50,
        ours=_SHALLOW,
    ),
    "densenet121": Original(
        "torchvision.models.densenet121",
        {
            "stem": "features.relu0",
            **numbered("features.denseblock", range(1, 5)),
            "embedding": "classifier<",
        },
    ),
    "efficientnet_b0": Original(
        "torchvision.models.efficientnet_b0", {**_EFFICIENTNET, "embedding": "classifier.1<"}
    ),
    "efficientnet_lite0": timm(
        "tf_efficientnet_lite0",
        {"stem": "bn1", **numbered("blocks.", range(7)), "last": "bn2", "embedding": "classifier<"},
    ),
    "fcn_resnet50": Original(
        "shallow.fcn_resnet",
        {**_RESNET_BODY, "classifier/conv": "classifier.2", **_AUXILIARY},
        size=50,
        ours=_SHALLOW,
    ),
    "googlenet": Original(
        "torchvision.models.googlenet",
        {
            "stage1": "conv1",
            "stage2": "conv3",
            "stage3": "inception3b",
            "stage4": "inception4e",
            "stage5": "inception5b",
            "embedding": "fc<",
        },
        options={"init_weights": False},
    ),
    "inception_v3": Original(
        "torchvision.models.inception_v3",
        {
            "stage1": "Conv2d_2b_3x3",
            "stage2": "Conv2d_4a_3x3",
            "stage3": "Mixed_5d",
            "stage4": "Mixed_6e",
            "stage5": "Mixed_7c",
            "embedding": "fc<",
        },
        size=96,
        options={"init_weights": False},
    ),
    "lraspp_mobilenet_v3_large": Original(
        "torchvision.models.segmentation.lraspp_mobilenet_v3_large",
        {
            "body/stage3/block0": "backbone.4",
            "body/features": "backbone.16",
            "conv": "classifier.cbr",
            "low": "classifier.low_classifier",
        },
        size=50,
        options=_UNTRAINED,
    ),
    "mobilenet_v1": timm(
        "mobilenetv1_100",
        {"stem": "bn1", **numbered("blocks.", range(5)), "embedding": "classifier<"},
    ),
    "mobilenet_v2": Original(
        "torchvision.models.mobilenet_v2",
        {
            "stem": "features.0",
            **numbered("features.", (1, 3, 6, 10, 13, 16, 17)),
            "last": "features.18",
            "embedding": "classifier.1<",
        },
    ),
    "mobilenet_v3_large": Original(
        "torchvision.models.mobilenet_v3_large",
        {
            "stem": "features.0",
            **numbered("features.", (1, 3, 6, 12, 15)),
            "last": "features.16",
            "embedding": "classifier.0<",
        },
    ),
    "mobilenet_v3_small": Original(
        "torchvision.models.mobilenet_v3_small",
        {
            "stem": "features.0",
            **numbered("features.", (1, 3, 8, 11)),
            "last": "features.12",
            "embedding": "classifier.0<",
        },
    ),
    "preact_resnet18": timm(
        "resnetv2_18",
        {
            "pool": "stem.pool",
            **numbered("stages.", range(4)),
            "features": "norm",
            "embedding": "head.fc<",
        },
    ),
    "regnet_x_400mf": Original(
        "torchvision.models.regnet_x_400mf",
        {"stem": "stem", **numbered("trunk_output.block", range(1, 5)), "embedding": "fc<"},
    ),
    "regnet_y_400mf": Original(
        "torchvision.models.regnet_y_400mf",
        {"stem": "stem", **numbered("trunk_output.block", range(1, 5)), "embedding": "fc<"},
    ),
    "resnet18": Original(
        "torchvision.models.resnet18", {"stem": "relu", **_LAYERS, "embedding": "fc<"}
    ),
    "resnext50_32x4d": Original(
        "torchvision.models.resnext50_32x4d", {"stem": "relu", **_LAYERS, "embedding": "fc<"}
    ),
    "seresnet50": timm("seresnet50", {"stem": "act1", **_LAYERS, "embedding": "fc<"}),
    "shufflenet_v2_x0_5": Original(
        "torchvision.models.shufflenet_v2_x0_5",
        {
            "stem": "conv1",
            "pool": "maxpool",
            **numbered("stage", (2, 3, 4), first=2),
            "last": "conv5",
            "embedding": "fc<",
        },
    ),
    "squeezenet1_0": Original(
        "torchvision.models.squeezenet1_0", numbered("features.", (1, 5, 10, 12))
    ),
    "squeezenet1_1": Original(
        "torchvision.models.squeezenet1_1", numbered("features.", (1, 4, 7, 12))
    ),
    "vgg11": Original(
        "torchvision.models.vgg11",
        {
            **numbered("features.", (1, 4, 9, 14, 19)),
            "features": "features.20",
            "embedding": "classifier.4",
        },
        hidden=64,
    ),
    "vgg11_bn": Original(
        "torchvision.models.vgg11_bn",
        {
            **numbered("features.", (2, 6, 13, 20, 27)),
            "features": "features.28",
            "embedding": "classifier.4",
        },
        hidden=64,
    ),
}
"""The original of each of our models."""

TRAINED = ("resnet18", "vgg11_bn")
"""Models of which a training step is compared too, without dropout."""
