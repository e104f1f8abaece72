"""The kernels of a convolution as small pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import enlarged, signed

_SIDE = 56


def filter_sheet(kernels: np.ndarray, across: int = 12) -> Image.Image:
    """Draws filters in rows, each below its number, all on one scale.

    Those over three maps are drawn in their colours, grey being 0; of others the mean over all maps
    is drawn, orange above 0 and blue below.

    Args:
      kernels: (kh, kw, c, n).
      across: filters in a row.

    Returns:
      A picture in RGB.
    """
    count = kernels.shape[-1]
    if kernels.shape[2] == 3:
        most = np.abs(kernels).max() or 1.0
        levels = np.round(255 * (0.5 + kernels / (2 * most))).astype(np.uint8)
        cells = [levels[..., place] for place in range(count)]
    else:
        means = kernels.mean(axis=2)
        means = means / (np.abs(means).max() or 1.0)
        cells = [signed(means[..., place]) for place in range(count)]
    titles = [str(place) for place in range(count)]
    return contact_sheet([enlarged(each, _SIDE) for each in cells], titles, min(across, count))
