"""Many small images on one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax import recipe
from cnn_jax.augment import change_size, denormalise, training_batch

SMALLEST = 64
"""Images whose shorter side has fewer pixels are enlarged."""
_GAP = 6
_BACKGROUND = (255, 255, 255)
_INK = (0, 0, 0)


def contact_sheet(images: Sequence[np.ndarray], titles: Sequence[str], columns: int) -> Image.Image:
    """Arranges images in rows, each below its title.

    Small images are enlarged by a whole number of times, so that their pixels stay visible
    and square. Titles that are too long are cut.

    Args:
      images: each (h, w, 1) or (h, w, 3), all of one shape: uint8, or float on the scale
        0 to 1, beyond which it is clipped.
      titles: one for each image, or empty.
      columns: images in a row.

    Returns:
      A picture in RGB; its `save(path)` writes it.

    Raises:
      ValueError: there are no images, or not as many titles, or no columns; or the images
        have neither one nor three channels.
    """
    if not len(images) or len(images) != len(titles) or columns < 1:
        raise ValueError(
            f"{len(images)} images, {len(titles)} titles and {columns} columns make no sheet"
        )
    pictures = [_picture(image) for image in images]
    width, height = pictures[0].size
    font = ImageFont.load_default()
    line = round(font.getbbox("Ag|")[3]) + 2 if any(titles) else 0
    rows = -(-len(images) // columns)
    cell_width, cell_height = width + _GAP, line + height + _GAP
    sheet = Image.new("RGB", (_GAP + columns * cell_width, _GAP + rows * cell_height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x = _GAP + place % columns * cell_width
        y = _GAP + place // columns * cell_height
        draw.text((x, y), _cut(title, width, font), fill=_INK, font=font)
        sheet.paste(picture, (x, y + line))
    return sheet


def augmentation_sheet(
    images: Sequence[np.ndarray] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    class_names: Sequence[str],
    *,
    preprocess: recipe.Preprocess,
    augment: recipe.Augment,
    mean: np.ndarray,
    std: np.ndarray,
    seed: int,
    examples: int = 8,
    variants: int = 8,
) -> Image.Image:
    """Shows what random changes make of some examples: in each row one, first unchanged.

    Where examples are mixed, titles say how much of another class is in a variant; partners
    come from the examples on the sheet.

    Args:
      images: n images, each (h, w, c) uint8, all of one shape; c is 1 or 3.
      labels: n classes.
      class_names: k names.
      preprocess: what is done to every image.
      augment: what is changed at random.
      mean: (c,) of the training images, on the scale 0 to 1.
      std: (c,) of the training images, on the scale 0 to 1.
      seed: decides which examples are shown, and the changes.
      examples: rows; fewer where there are not as many images.
      variants: changed images in a row, one for each of as many epochs.

    Returns:
      A picture in RGB.

    Raises:
      ValueError: there are no images.
      UserError: the images are larger than the size they are to be padded to.
    """
    count = min(examples, len(images))
    if count < 1:
        raise ValueError("there are no images to show")
    chosen = np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))
    raw = jnp.stack([images[index] for index in chosen])
    classes = [int(labels[index]) for index in chosen]
    run_key = jax.random.key(seed)

    @jax.jit
    def variant(epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = training_batch(
            jax.random.fold_in(run_key, epoch),
            raw,
            jax.nn.one_hot(jnp.asarray(classes), len(class_names)),
            jnp.full(count, epoch),
            jnp.asarray(chosen, jnp.int32),
            run_key=run_key,
            preprocess=preprocess,
            augment=augment,
            mean=mean,
            std=std,
        )
        return denormalise(batch.inputs, mean, std), batch.targets

    columns = [(np.asarray(change_size(raw, preprocess)), [class_names[c] for c in classes])]
    for epoch in range(variants):
        changed, targets = jax.device_get(variant(np.int32(epoch)))
        shares = zip(targets, classes, strict=True)
        columns.append((changed, [_others(target, own, class_names) for target, own in shares]))
    return contact_sheet(
        [shown[row] for row in range(count) for shown, _ in columns],
        [titles[row] for row in range(count) for _, titles in columns],
        len(columns),
    )


def _others(target: np.ndarray, own: int, class_names: Sequence[str]) -> str:
    """What a mixed example holds besides its own class, which stands at the row's head."""
    return " ".join(
        f"+{share:.0%} {class_names[index]}"
        for index, share in enumerate(target)
        if index != own and share >= 0.005
    )


def _picture(image: np.ndarray) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ValueError(f"shown are images (h, w, 1) or (h, w, 3), not {pixels.shape}")
    if pixels.dtype != np.uint8:
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    times = -(-SMALLEST // min(pixels.shape[:2]))
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")


def _cut(title: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(title) <= width:
        return title
    while title and font.getlength(title + "…") > width:
        title = title[:-1]
    return title + "…"
