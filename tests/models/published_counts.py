"""How many parameters each registered model has where it comes from.

torchvision and timm state theirs with their weights; those of papers are rounded there, and
counted by hand in the tests of the families.
"""

from cnn_jax import models

TORCHVISION = {
    "alexnet": 61_100_840,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "convnext_large": 197_767_336,
    "deeplabv3_mobilenet_v3_large": 11_029_328,
    "deeplabv3_resnet50": 42_004_074,
    "deeplabv3_resnet101": 60_996_202,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "fasterrcnn_mobilenet_v3_large_fpn": 19_410_754,  # with batch norm that is trained
    "fasterrcnn_resnet50_fpn": 41_808_406,  # with batch norm that is trained
    "fasterrcnn_resnet50_fpn_v2": 43_712_278,
    "fcn_resnet50": 35_322_218,
    "fcn_resnet101": 54_314_346,
    "fcos_resnet50_fpn": 32_322_720,  # with batch norm that is trained
    "googlenet": 13_004_888,  # 6,624,904 without the auxiliary heads
    "inception_v3": 27_161_264,
    "lraspp_mobilenet_v3_large": 3_221_538,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "regnet_x_400mf": 5_495_976,
    "regnet_x_800mf": 7_259_656,
    "regnet_x_1_6gf": 9_190_136,
    "regnet_x_3_2gf": 15_296_552,
    "regnet_x_8gf": 39_572_648,
    "regnet_x_16gf": 54_278_536,
    "regnet_x_32gf": 107_811_560,
    "regnet_y_400mf": 4_344_144,
    "regnet_y_800mf": 6_432_512,
    "regnet_y_1_6gf": 11_202_430,
    "regnet_y_3_2gf": 19_436_338,
    "regnet_y_8gf": 39_381_472,
    "regnet_y_16gf": 83_590_140,
    "regnet_y_32gf": 145_046_770,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    "retinanet_resnet50_fpn": 34_068_119,  # with batch norm that is trained
    "retinanet_resnet50_fpn_v2": 38_198_935,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}
TIMM = {
    "efficientnet_lite0": 4_652_008,
    "mobilenet_v1": 4_231_976,
    "preact_resnet18": 11_687_720,
    "preact_resnet50": 25_549_352,
    "seresnet50": 28_088_024,
}
PAPERS = {
    "airbench94": 1_971_640,
    "airbench95": 4_604_728,
    "airbench96": 9_915_704,
    "alexnet2012": 60_965_224,
    "deeplabv3": 16_053_034,
    "densenet_bc100_12": 769_162,
    "faster_rcnn": 28_739_606,
    "fc_densenet103": 9_322_091,
    "fc_densenet56": 1_376_795,
    "fc_densenet67": 3_463_243,
    "fc_hardnet68": 1_377_899,
    "fcn": 11_918_250,
    "fcn1d": 264_962,
    "fcos": 19_303_072,
    "inception_time": 420_450,
    "lenet5": 60_000,
    "lenet5_relu": 61_706,
    "nin": 966_986,
    "preact_resnet110": 1_730_522,
    "preact_resnet164": 1_703_258,
    "resnet1d": 504_258,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "retinanet": 21_048_471,
    "segnet": 29_449_355,
    "segnet_basic": 1_416_587,
    "simple_cnn": 856_074,
    "text_cnn": 360_902 + 18_767 * 300,
    "unet": 31_038_283,
    "unet32": 7_763_371,
    "wide_resnet28_10": 36_479_194,
    "wide_resnet40_4": 8_949_210,
}
COUNTS = TORCHVISION | TIMM | PAPERS


def source(name):
    """Where the count of a model stands."""
    if name in TORCHVISION:
        return "torchvision"
    return "timm" if name in TIMM else models.entry(name).paper.split(",")[0]
