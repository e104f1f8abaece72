"""Files of boxes that are damaged, or contradict themselves: what is said, and where."""

import pytest
from box_sets import notes_of, read
from drawn_objects import (
    IMAGES,
    boxes_of,
    coco,
    coco_rows,
    voc,
    yolo,
)

from cnn_jax.errors import UserError


def test_damaged_xml_is_named_with_its_place_and_can_be_left_out(tmp_path, capsys):
    top = voc(tmp_path)
    (top / "Annotations" / "a.xml").write_text("<annotation>\n <object><name>red</object>")
    with pytest.raises(UserError, match=r"a\.xml: is no XML at line 2, column 2\d .*mismatched"):
        read("voc", top)
    found = read("voc", top, skip_bad=True)
    assert len(found.train) == 5 and "left out 1 file that cannot be read" in notes_of(found)


def test_images_that_are_named_but_not_there_are_listed_and_counted(tmp_path, capsys):
    top = voc(tmp_path / "voc")
    (top / "JPEGImages" / "b.png").unlink()
    with pytest.raises(UserError, match=r"1 image of .* not there: b\.png; .*--data\.skip-bad"):
        read("voc", top)
    assert "left out 1 image of" in notes_of(read("voc", top, skip_bad=True))

    top = coco(tmp_path / "coco")
    for name in "ab":
        (top / "images" / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"2 images of instances\.json not there: a\.png, b\.png"):
        read("coco", top)
    assert len(read("coco", top, skip_bad=True).train) == 4


def test_a_damaged_image_is_named(tmp_path, capsys):
    top = voc(tmp_path)
    (top / "JPEGImages" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(UserError, match=r"b\.png: "):
        read("voc", top)
    found = read("voc", top, skip_bad=True)
    assert boxes_of(found.train) == [IMAGES[name] for name in "acdef"]
    assert "another size" not in notes_of(found)  # of what is left out nothing more is told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding: klingon"),
        ("<html><body>404</body></html>", "is no annotation of VOC: it holds <html>"),
    ],
)
def test_what_is_no_annotation_is_no_image_without_objects(text, words, tmp_path):
    top = voc(tmp_path)
    (top / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(UserError, match=rf"a\.xml: .*{words}"):
        read("voc", top)


def test_boxes_as_parts_of_the_image_are_refused_where_pixels_are_meant(tmp_path):
    rows = coco_rows()
    sizes = {row["id"]: (row["width"], row["height"]) for row in rows["images"]}
    for row in rows["annotations"]:
        row["bbox"] = [
            v / side for v, side in zip(row["bbox"], 2 * sizes[row["image_id"]], strict=True)
        ]
    with pytest.raises(UserError, match=r"8 of the 8 boxes of .* lie between 0 and 1"):
        read("coco", coco(tmp_path, rows=rows))


def test_boxes_in_pixels_are_refused_where_parts_are_meant(tmp_path):
    top = yolo(tmp_path)
    (top / "labels" / "b.txt").write_text("0 0.5 0.5 0.2 0.2\n0 20 30 12 20\n")
    with pytest.raises(UserError, match=r"b\.txt: line 2 has 30, which is no part .*pixels\?"):
        read("yolo", top)


def test_what_is_no_set_of_boxes_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        read("voc", tmp_path / "nowhere")
    with pytest.raises(UserError, match="there is no file or folder"):
        read("coco", tmp_path / "nowhere")
    with pytest.raises(UserError, match="there is no folder"):
        read("yolo", tmp_path / "nowhere")
    voc(tmp_path / "VOCdevkit" / "VOC2007")
    with pytest.raises(UserError, match=r"holds no XML files; did you mean voc:.*VOC2007\?"):
        read("voc", tmp_path / "VOCdevkit")


# COCO


REFUSED = {
    "unknown category": (
        ("annotations", 0, "category_id"),
        5,
        "is of the category 5, and there are 3, 90",
    ),
    "no box": (("annotations", 0, "bbox"), [1, 2, 3], "annotation 1 has no `bbox` of four numbers"),
    "same id": (("images", 1, "id"), 10, r"a\.png and b\.png have the same id 10"),
    "same name": (("categories", 1, "name"), "blue ", "categories 3, 90 are all called 'blue'"),
    "same number": (("categories", 1, "id"), 3, "category 3 is both 'blue' and 'red'"),
    "no list": (("images",), 3, "`images` is no list"),
    "list of images": (("annotations", 0, "image_id"), [10], r"has the `image_id` \[10\]"),
    "object": (("annotations", 0, "category_id"), {"id": 3}, "has the `category_id` {'id': 3}"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_numbers_that_contradict_each_other_are_refused(fault, tmp_path):
    way, value, words = REFUSED[fault]
    rows = coco_rows()
    inner = rows
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    with pytest.raises(UserError, match=words):
        read("coco", coco(tmp_path, rows=rows))


def test_damaged_json_is_named_with_its_place(tmp_path):
    top = coco(tmp_path)
    (top / "annotations" / "instances.json").write_text('{"images": [\n  {"id": 1,,}]}')
    with pytest.raises(UserError, match=r"instances\.json is no JSON at line 2, column 12"):
        read("coco", top)


# YOLO


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2 0.5 0.5 0.1 0.1", "line 1 has the class 2, and there are 2 from 0 on"),
        ("red 0.5 0.5 0.1 0.1", "line 1 has the class red"),
        ("1 0.5 0.5 0.1", "line 1 has 4 numbers; a box is a class and four numbers"),
    ],
)
def test_damaged_labels_are_named_with_their_line(line, words, tmp_path):
    top = yolo(tmp_path)
    (top / "labels" / "b.txt").write_text(f"{line}\n")
    with pytest.raises(UserError, match=rf"b\.txt: {words}"):
        read("yolo", top)


def test_damaged_descriptions_are_refused(tmp_path):
    top = yolo(tmp_path)
    for text, words in (
        ("names: [a\n: b", "is no YAML"),
        ("train: images\nnames: {0: a, 2: b}", "must count from 0 without gaps"),
        ("train: images\nnames: {0: a, x: b}", "must count from 0 without gaps; it has 0, 'x'"),
        ("train: images\nnames: [red, ' red']", "class 1 .* the name 'red', as class 0 has"),
        ("train: images\nnc: 3\nnames: [blue, red]", "says `nc: 3`, and `names` are 2"),
        ("train: nowhere\nnames: [blue, red]", "`train: nowhere` is not there"),
        ("train: images\n", "has no `names:`"),
    ):
        (top / "data.yaml").write_text(text)
        with pytest.raises(UserError, match=words):
            read("yolo", top)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"blue\n\nred\n", r"class 1 \(from 0\) has no name"),
        (b"blue\nblue\n", "the name 'blue', as class 0 has"),
        ("blé\nred\n".encode("latin-1"), "cannot be read as class names"),
    ],
)
def test_class_names_that_would_be_guessed_are_refused(content, words, tmp_path):
    top = yolo(tmp_path)
    (top / "data.yaml").unlink()
    (top / "classes.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"classes\.txt.*{words}"):
        read("yolo", top)


def test_a_place_that_the_description_names_in_vain_is_told(tmp_path):
    top = yolo(tmp_path)
    (top / "data.yaml").write_text("path: /gone\ntrain: images\nnames: [blue, red]\n")
    assert f"says `path: /gone`, which is not there: read is {top}" in notes_of(read("yolo", top))


def test_a_part_without_images_is_refused(tmp_path):
    top = yolo(tmp_path)
    (top / "empty").mkdir()
    (top / "data.yaml").write_text("train: images\nval: empty\nnames: [blue, red]\n")
    with pytest.raises(UserError, match=r"the part validation of yolo:.* holds no images"):
        read("yolo", top)
