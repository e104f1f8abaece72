"""Draws a set of pictures with boxes, as VOC has them: small discs, squares, and large triangles.

Command: python benchmarks/draw_boxes.py drawn --images 200

Pictures differ in size and are crowded; an object that is nearly hidden by later ones is not told.
A few boxes are faulty, as in sets that people have drawn: without area, inverted, or reaching
beyond the picture.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDES = {"disc": (10, 26), "square": (30, 80), "triangle": (90, 220)}
SHARES = {"disc": 0.6, "square": 0.3, "triangle": 0.1}
HIDDEN = 0.35
"""An object of which less than this part is seen is not told."""


def picture(random: np.random.Generator) -> tuple[Image.Image, list[tuple[str, list[int]]]]:
    """A picture, and the class and box (left, top, right, bottom) of each object in it."""
    width, height = (int(side) for side in random.integers(260, 520, 2))
    coarse = random.integers(60, 200, (height // 16 + 1, width // 16 + 1, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    owner = np.full((height, width), -1)
    found, sizes = [], []
    kinds = random.choice(list(SIDES), int(random.integers(3, 20)), p=list(SHARES.values()))
    # Large ones lie behind small ones.
    for kind in sorted(kinds, key=lambda each: -SIDES[each][1]):
        side = int(random.integers(*SIDES[kind]))
        across = max(8, int(side * random.uniform(0.75, 1.3)))
        left = int(random.integers(-across // 6, max(1, width - 5 * across // 6)))
        top = int(random.integers(-side // 6, max(1, height - 5 * side // 6)))
        right, bottom = left + across, top + side
        colour = tuple(int(each) for each in random.integers(0, 256, 3))
        mask = Image.new("1", (width, height))
        for draw, fill in ((pen, colour), (ImageDraw.Draw(mask), 1)):
            if kind == "disc":
                draw.ellipse((left, top, right - 1, bottom - 1), fill=fill)
            elif kind == "square":
                draw.rectangle((left, top, right - 1, bottom - 1), fill=fill)
            else:
                middle = (left + right) // 2
                corners = [(left, bottom - 1), (right - 1, bottom - 1), (middle, top)]
                draw.polygon(corners, fill=fill)
        there = np.asarray(mask)
        owner[there] = len(found)
        sizes.append(int(there.sum()))
        inside = [max(0, left), max(0, top), min(width, right), min(height, bottom)]
        found.append((kind, inside))
    seen = np.bincount(owner[owner >= 0], minlength=len(found))
    told = [
        each for each, left, size in zip(found, seen, sizes, strict=True) if left > HIDDEN * size
    ]
    return image.filter(ImageFilter.GaussianBlur(0.7)), told


def faulty(random: np.random.Generator, box: list[int]) -> list[int]:
    """A box as somebody drew it wrongly."""
    left, top, right, bottom = box
    return [
        [left, top, left, bottom],
        [right, bottom, left, top],
        [left, top, right + 900, bottom],
    ][int(random.integers(3))]


def main() -> None:
    """Writes the set."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--images", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    random = np.random.default_rng(given.seed)
    for folder in ("JPEGImages", "Annotations"):
        (given.folder / folder).mkdir(parents=True, exist_ok=True)
    for number in range(given.images):
        image, told = picture(random)
        image.save(given.folder / "JPEGImages" / f"{number:04}.jpg", quality=90)
        rows = [(kind, box) for kind, box in told]
        rows += [(kind, faulty(random, box)) for kind, box in told if random.random() < 0.01]
        objects = "".join(
            f"<object><name>{kind}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for kind, (left, top, right, bottom) in rows
        )
        size = f"<size><width>{image.width}</width><height>{image.height}</height></size>"
        (given.folder / "Annotations" / f"{number:04}.xml").write_text(
            f"<annotation><filename>{number:04}.jpg</filename>{size}{objects}</annotation>"
        )
    print(f"{given.images} pictures in {given.folder}")


if __name__ == "__main__":
    main()
