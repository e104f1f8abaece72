"""Configurations of every class of model that are small enough to be computed."""

from dataclasses import dataclass, field

from cnn_jax import models

CLASSES = 5


@dataclass(frozen=True)
class Tiny:
    """A model small enough to be computed.

    Attributes:
      name: of the entry.
      shape: (h, w, c) of the images, (t, c) of the series, or (t,) of the samples.
      options: of the model.
      same_start: a pattern of the paths of kernels that are the same for every key.
      unreached: a pattern of the paths of parameters that no gradient of the logits reaches.
      trained: whether `test_every_model` trains it; the tests of a family do so where it takes
        long to compile.
    """

    name: str
    shape: tuple[int, ...]
    options: dict = field(default_factory=dict)
    same_start: str = ""
    unreached: str = ""
    trained: bool = True

    def create(self, dtype="float32"):
        return models.create(self.name, CLASSES, dtype=dtype, **self.options)


STAGES = {"depths": (1, 1), "width": 8}
STEM = {"stem": "small"}
ON_TINY = {"body_options": STAGES, "aux_at": "stem"}
TINY = {
    "lenet5": Tiny("lenet5", (32, 32, 1)),
    "lenet5_relu": Tiny("lenet5_relu", (32, 32, 1)),
    "lenet5_relu, other size": Tiny("lenet5_relu", (36, 41, 3), {"dropout": 0.1}),
    "simple_cnn": Tiny("simple_cnn", (28, 28, 1)),
    "simple_cnn, norm": Tiny("simple_cnn", (32, 37, 3), {"norm": "batch", "dropout": 0.1}),
    "simple_cnn, whitened": Tiny(
        "simple_cnn",
        (17, 17, 3),
        {"widths": (4,), "hidden": (8,), "whiten": True},
        unreached="whitening/kernel",
    ),
    "alexnet": Tiny(
        "alexnet",
        (19, 19, 3),
        {"widths": (8, 8, 8, 8, 8), "hidden": (16, 16), "pool_size": 2, "dropout": 0.1} | STEM,
    ),
    "alexnet2012": Tiny(
        "alexnet2012",
        (67, 67, 3),
        {"widths": (8, 8, 8, 8, 8), "hidden": (16, 16), "pool_size": 2, "dropout": 0.1},
    ),
    "nin": Tiny("nin", (12, 12, 3), {"widths": ((16, 16), (16, 16), (16,)), "dropout": 0.1}),
    "vgg": Tiny(
        "vgg11_bn",
        (8, 8, 3),
        {"depths": (1, 2), "widths": (8, 8), "hidden": (16, 16), "pool_size": 2, "dropout": 0.1},
    ),
    "logmel_cnn": Tiny("logmel_cnn", (12, 9, 2), {"widths": (8, 8), "dropout": 0.1}),
    "piczak_cnn": Tiny(
        "piczak_cnn", (20, 8, 2), {"maps": 8, "hidden": (16, 16), "high": 5, "dropout": 0.1}
    ),
    "m11": Tiny("m11", (300,), {"first": 8, "widths": (8, 8), "depths": (1, 2)}),
    "m34": Tiny("m34", (300,), {"first": 4, "widths": (4, 8), "depths": (1, 1)}, trained=False),
    "envnet": Tiny(
        "envnet",
        (80,),
        {"bands": 10, "maps": 8, "hidden": (16, 16), "pool": 2, "dropout": 0.1},
    ),
    "fcn1d": Tiny("fcn1d", (12, 2), {"widths": (8, 8, 8)}),
    "resnet1d": Tiny("resnet1d", (12, 2), {"widths": (8, 8), "kernels": (4, 3)}),
    "inception_time": Tiny(
        "inception_time",
        (12, 2),
        {"depth": 3, "width": 8, "bottleneck": 8, "kernels": (8, 4, 2)},
    ),
    "googlenet": Tiny(
        "googlenet",
        (16, 16, 3),
        {"width": 0.05, "dropout": 0.1} | STEM,
        trained=False,
    ),
    "inception_v3": Tiny(
        "inception_v3", (17, 17, 3), {"width": 0.04, "dropout": 0.1} | STEM, trained=False
    ),
    "resnet, basic": Tiny("resnet18", (16, 16, 3), STAGES | STEM),
    "resnet, bottleneck": Tiny(
        "resnext50_32x4d", (32, 32, 3), STAGES | {"groups": 2, "group_width": 32}
    ),
    "resnet_cifar": Tiny("resnet20", (16, 16, 3), STAGES),
    "preact_resnet": Tiny("preact_resnet18", (32, 32, 3), STAGES),
    "wide_resnet": Tiny("wide_resnet40_4", (16, 16, 3), {"depth": 10, "width": 1}),
    "densenet": Tiny(
        "densenet121", (8, 8, 3), {"depths": (2, 2), "growth": 4, "stem_width": 8} | STEM
    ),
    "squeezenet": Tiny(
        "squeezenet1_0",
        (33, 33, 3),
        {"stem_width": 8, "fires": ((8, 8), (8, 8)), "pools": (1,), "dropout": 0.1},
    ),
    "mobilenet_v1": Tiny("mobilenet_v1", (8, 8, 3), {"stages": ((8, 1, 1), (16, 2, 1))} | STEM),
    "mobilenet_v2": Tiny(
        "mobilenet_v2", (8, 8, 3), {"stages": ((1, 8, 1, 1), (3, 16, 2, 2)), "width": 0.5} | STEM
    ),
    "mobilenet_v3": Tiny(
        "mobilenet_v3_large",
        (8, 8, 3),
        {
            "stages": (((3, 8, 8, False, "relu", 1),), ((5, 24, 16, True, "hard_swish", 2),)),
            "hidden": 16,
        }
        | STEM,
    ),
    "mobilenet_v3_small": Tiny(
        "mobilenet_v3_small",
        (8, 8, 3),
        {"stages": (((3, 8, 8, True, "relu", 1),),), "hidden": 16} | STEM,
    ),
    "shufflenet_v2": Tiny(
        "shufflenet_v2_x1_0", (8, 8, 3), {"widths": (16,), "depths": (2,), "last_width": 16} | STEM
    ),
    "efficientnet": Tiny(
        "efficientnet_b0",
        (8, 8, 3),
        {"stages": ((1, 3, 1, 8, 1), (2, 5, 2, 16, 2)), "width": 0.5} | STEM,
    ),
    "efficientnet_lite": Tiny(
        "efficientnet_lite0", (8, 8, 3), {"stages": ((1, 3, 1, 8, 1), (2, 5, 2, 16, 1))} | STEM
    ),
    "regnet": Tiny("regnet_y_400mf", (8, 8, 3), {"widths": (8, 16), "depths": (1, 1)} | STEM),
    "convnext": Tiny(
        "convnext_tiny",
        (8, 8, 3),
        {"widths": (8, 16), "depths": (1, 1), "layer_scale": 0.5} | STEM,
    ),
    "fcn": Tiny("fcn", (17, 24, 3), ON_TINY, unreached="aux/.*"),
    "deeplab": Tiny(
        "deeplabv3",
        (17, 24, 3),
        ON_TINY | {"features": 8, "rates": (1, 2)},
        unreached="aux/.*",
    ),
    "lraspp": Tiny(
        "lraspp_mobilenet_v3_large",
        (17, 24, 3),
        {"body": "resnet18", "body_options": STAGES, "low_at": "stem", "features": 8},
    ),
    "unet": Tiny("unet", (9, 14, 3), {"width": 8, "depth": 3}),
    "unet_on_body": Tiny("unet_on_body", (17, 24, 3), {"body_options": STAGES, "width": 2}),
    "segnet": Tiny("segnet", (9, 13, 3), {"depths": (2, 1), "widths": (8, 16)}),
    "fc_densenet": Tiny(
        "fc_densenet56", (9, 13, 3), {"stem_width": 8, "depths": (2, 2, 2), "growth": (8,)}
    ),
    "fc_hardnet": Tiny(
        "fc_hardnet68",
        (9, 13, 3),
        {"stem_width": 8, "depths": (4, 4), "growth": (4, 6), "dropout": 0.1},
    ),
    "airbench": Tiny(
        "airbench94",
        (12, 12, 3),
        {"widths": (32, 32, 32)},
        same_start="group[123]/conv2/kernel|group[23]/conv1/kernel",
        unreached="whitening/kernel",
    ),
}
