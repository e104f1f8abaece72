"""Images with what is told of places in them, as they are and as they are learnt from."""

from __future__ import annotations

from typing import Any

from PIL import Image

from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.fitting import Fit
from cnn_jax.data.spec import DataSpec
from cnn_jax.report.box_sheet import box_sheet
from cnn_jax.report.mask_sheet import mask_sheet


def spatial_sheet(
    train: Split, spec: DataSpec, fit: Fit = "letterbox", **options: Any
) -> Image.Image:
    """A sheet of some examples, see `cnn_jax.report.mask_sheet.mask_sheet`.

    Args:
      train: images (n, h, w, c) uint8 and their masks or boxes.
      spec: facts of the data.
      fit: how images with boxes were brought to their size.
      **options: of the sheet.
    """
    kinds = [each.kind for each in fields_of(train.targets).values()]
    if "boxes" in kinds:
        return box_sheet(train, spec, fit=fit, **options)
    return mask_sheet(train, spec, **options)
