"""Nets of torchvision with fewer blocks than it names, which take less time to compile."""

from torchvision.models import resnet
from torchvision.models.segmentation import deeplabv3, fcn

DEPTHS = (1, 1, 1, 2)


def _body():
    return resnet.ResNet(
        resnet.Bottleneck, list(DEPTHS), replace_stride_with_dilation=[False, True, True]
    )


def fcn_resnet(num_classes):
    """FCN with the auxiliary head."""
    return fcn._fcn_resnet(_body(), num_classes, True)


def deeplabv3_resnet(num_classes):
    """DeepLabv3 with the auxiliary head."""
    return deeplabv3._deeplabv3_resnet(_body(), num_classes, True)
