"""Images with what is told of places in them, as they are and as they are learnt from."""

from __future__ import annotations

from typing import Any

from PIL import Image

from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.spec import DataSpec
from cnn_jax.report.box_sheet import box_sheet
from cnn_jax.report.mask_sheet import mask_sheet

_SHEETS = {"boxes": box_sheet, "mask": mask_sheet}
"""By the kind of targets, see `cnn_jax.data.fields`."""


def spatial_sheet(train: Split, spec: DataSpec, **options: Any) -> Image.Image:
    """A sheet of some examples, see `cnn_jax.report.mask_sheet.mask_sheet`.

    Args:
      train: images (n, h, w, c) uint8 and their masks or boxes.
      spec: facts of the data.
      **options: of the sheet.
    """
    kinds = [each.kind for each in fields_of(train.targets).values()]
    return next(_SHEETS[kind] for kind in kinds if kind in _SHEETS)(train, spec, **options)
