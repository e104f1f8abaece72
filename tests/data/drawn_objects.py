"""Small drawn sets of rectangles with boxes, written as VOC, COCO and YOLO have them."""

import json

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("blue", "red")
COLOURS = {"blue": (40, 60, 220), "red": (220, 50, 40)}

# Of each image: its width and height, and its objects: class, left, top, right, bottom.
IMAGES = {
    "a": ((60, 40), [("red", 10, 5, 30, 25), ("blue", 40, 10, 60, 40)]),
    "b": ((40, 60), [("blue", 0, 0, 12, 20)]),
    "c": ((50, 50), []),
    "d": ((33, 17), [("red", 3, 2, 30, 15)]),
    "e": ((7, 5), [("blue", 1, 1, 6, 4)]),
    "f": ((64, 48), [("red", 20, 20, 60, 40), ("red", 2, 2, 10, 12), ("blue", 30, 2, 50, 18)]),
}


def draw(file, size, objects):
    image = Image.new("RGB", size, (120, 120, 120))
    for name, left, top, right, bottom in objects:
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=COLOURS[name])
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def xml(size, objects, filename=""):
    rows = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left + 1}</xmin>"
        f"<ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in objects
    )
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{told}{rows}</annotation>"


def voc(top, images=IMAGES, lists=None):
    """VOC's folders, with lists of the images of each part where they are given."""
    for name, (size, objects) in images.items():
        draw(top / "JPEGImages" / f"{name}.png", size, objects)
        file = top / "Annotations" / f"{name}.xml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(xml(size, objects, f"{name}.png"))
    for part, listed in (lists or {}).items():
        file = top / "ImageSets" / "Main" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in listed))
    return top


def coco_rows(images=IMAGES, numbers=(3, 90)):
    """The content of a COCO JSON; blue and red have these numbers."""
    found = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": number, "name": name} for number, name in zip(numbers, NAMES, strict=True)
        ],
    }
    for place, (name, (size, objects)) in enumerate(images.items(), 10):
        width, height = size
        found["images"].append(
            {"id": place, "file_name": f"{name}.png", "width": width, "height": height}
        )
        for label, left, top, right, bottom in objects:
            found["annotations"].append(
                {
                    "id": len(found["annotations"]) + 1,
                    "image_id": place,
                    "category_id": numbers[NAMES.index(label)],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": 0.5 * (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    return found


def coco(top, images=IMAGES, rows=None):
    for name, (size, objects) in images.items():
        draw(top / "images" / f"{name}.png", size, objects)
    (top / "annotations").mkdir()
    (top / "annotations" / "instances.json").write_text(json.dumps(rows or coco_rows(images)))
    return top


def yolo(top, images=IMAGES):
    for name, (size, objects) in images.items():
        draw(top / "images" / f"{name}.png", size, objects)
        lines = []
        for label, left, upper, right, bottom in objects:
            middle = [(left + right) / 2 / size[0], (upper + bottom) / 2 / size[1]]
            sides = [(right - left) / size[0], (bottom - upper) / size[1]]
            lines.append(f"{NAMES.index(label)} " + " ".join(f"{v:.6f}" for v in middle + sides))
        if lines:
            file = top / "labels" / f"{name}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
    (top / "data.yaml").write_text("train: images\nnames: [blue, red]\n")
    return top


def boxes_of(split, names=NAMES):
    """Of each example its size and its objects, as in `IMAGES`."""
    found = []
    targets = split.targets
    for place in range(len(split)):
        height, width = targets["size"][place].tolist()
        there = targets["there"][place]
        rows = [
            (names[label], round(left), round(top), round(right), round(bottom))
            for (top, left, bottom, right), label in zip(
                targets["boxes"][place][there].tolist(),
                targets["box_class"][place][there].tolist(),
                strict=True,
            )
        ]
        found.append(((width, height), rows))
    return found


def colour_under(image, box):
    """The median colour of an image (h, w, 3) within a box: top, left, bottom, right."""
    top, left, bottom, right = (round(float(side)) for side in box)
    return np.median(image[top:bottom, left:right].reshape(-1, 3), axis=0)
