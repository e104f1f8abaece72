import json

import numpy as np
import pytest
from drawn_objects import (
    COLOURS,
    IMAGES,
    NAMES,
    boxes_of,
    coco,
    coco_rows,
    colour_under,
    draw,
    voc,
    xml,
    yolo,
)

from cnn_jax.data import load
from cnn_jax.data.boxed_set import DIFFICULT, load_boxes
from cnn_jax.data.fitting import content
from cnn_jax.errors import UserError

WRITERS = {"voc": voc, "coco": coco, "yolo": yolo}


def read(form, top, **fields):
    fields = {"image_size": 48, "test_part": 0, **fields}
    return load_boxes(form, str(top), name=f"{form}:{top.name}", **fields)


def notes_of(found):
    return "\n".join(found.notes)


@pytest.mark.parametrize("form", WRITERS)
def test_each_form_gives_the_same_boxes_and_pixels(form, tmp_path):
    found = read(form, WRITERS[form](tmp_path))
    assert found.class_names == NAMES and found.validation is None is found.test
    assert boxes_of(found.train) == list(IMAGES.values())
    assert found.train.images.shape == (6, 48, 48, 3)
    targets = found.train.targets
    for image, size, boxes, there, labels in zip(
        found.train.images,
        *(targets[key] for key in ("size", "boxes", "there", "box_class")),
        strict=True,
    ):
        scale = np.tile(content(size, 48, 48) / size, 2)
        for box, label in zip(boxes[there], labels[there], strict=True):
            inner = box * scale + [1, 1, -1, -1]  # borders are blended
            apart = colour_under(image, inner) - COLOURS[NAMES[label]]
            assert np.abs(apart).max() < 30
    area = 0.5 if form == "coco" else 1.0
    assert targets["box_area"][0, 0] == pytest.approx(area * 20 * 20, rel=1e-3)


def test_a_set_is_read_by_its_name_and_a_test_part_is_cut_aloud(tmp_path):
    images = {f"{name}{turn}": each for turn in range(4) for name, each in IMAGES.items()}
    found = load(f"voc:{voc(tmp_path, images)}", image_size=32, kind="boxes")
    assert (len(found.train), len(found.test)) == (22, 2)
    assert "the test part is 2 examples cut from train" in notes_of(found)
    with pytest.raises(UserError, match="has boxes, and the task learns class"):
        load(f"voc:{tmp_path}", image_size=32)


def test_stretched_images_fill_the_square(tmp_path):
    found = read("voc", voc(tmp_path), fit="stretch")
    targets, image = found.train.targets, found.train.images[0]
    box = targets["boxes"][0, 0] * np.tile(48 / targets["size"][0], 2)
    np.testing.assert_allclose(box, [6, 8, 30, 24], atol=0.01)
    assert np.abs(colour_under(image, box) - COLOURS["red"]).max() < 10
    assert (found.train.images[0, -1, -1] == COLOURS["blue"]).all()


def test_lists_say_which_image_is_of_which_part(tmp_path):
    lists = {"train": "abc", "val": "de", "trainval": "abcde"}
    found = read("voc", voc(tmp_path, lists=lists))
    assert boxes_of(found.train) == [IMAGES[name] for name in "abc"]
    assert boxes_of(found.test) == [IMAGES[name] for name in "de"]
    assert "the validation part is the test: there is no test part" in notes_of(found)
    assert "passed over 1 XML files that no list names: f" in notes_of(found)

    (tmp_path / "ImageSets/Main/test.txt").write_text("f  1\n")
    found = read("voc", tmp_path)
    assert [len(each) for each in (found.train, found.validation, found.test)] == [3, 2, 1]

    (tmp_path / "ImageSets/Main/test.txt").write_text("\n")
    with pytest.raises(UserError, match=r"test\.txt lists no images; fill it, or remove it"):
        read("voc", tmp_path)
    (tmp_path / "ImageSets/Main/test.txt").write_text("a\n")
    with pytest.raises(UserError, match="a is in the lists of both"):
        read("voc", tmp_path)


def test_images_and_xml_may_lie_side_by_side_in_folders_of_parts(tmp_path):
    for part, names in {"train": "abcd", "valid": "e", "test": "f"}.items():
        for name in names:
            draw(tmp_path / part / f"{name}.png", *IMAGES[name])
            (tmp_path / part / f"{name}.xml").write_text(xml(*IMAGES[name]))
    draw(tmp_path / "train" / "unlabelled.png", (20, 20), [])
    found = read("voc", tmp_path)
    assert boxes_of(found.train) == [IMAGES[name] for name in "abcd"]
    assert boxes_of(found.validation) + boxes_of(found.test) == [IMAGES["e"], IMAGES["f"]]
    assert "left out 1 image of train without an XML file" in notes_of(found)


FAULTY = [
    ("red", 10, 5, 10, 25),  # no width
    ("red", 30, 5, 10, 25),  # inverted
    ("red", 70, 5, 90, 25),  # outside
    ("blue", 40, 10, 90, 60),  # beyond
    ("blue", 40, 10, 90, 60),  # twice
    ("blue", "abc", 10, 50, 60),  # no number
]


def test_faulty_boxes_are_dropped_and_counted_and_others_clipped(tmp_path):
    top = voc(tmp_path)
    rows = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in FAULTY
    )
    (top / "Annotations" / "a.xml").write_text(f"<annotation>{rows}</annotation>")
    found = read("voc", top)
    assert boxes_of(found.train)[0] == ((60, 40), [("blue", 39, 9, 60, 40)])
    told = notes_of(found)
    assert "dropped 2 boxes without area (zero or negative width or height): a.png" in told
    for line in (
        "dropped 1 box outside of their image: a.png",
        "dropped 1 box that stand twice: a.png",
        "dropped 1 box whose coordinates are no numbers: a.png",
        "clipped 1 box that reach beyond their image: a.png",
    ):
        assert line in told
    assert (found.train.targets["boxes"][found.train.targets["there"]] >= 0).all()


def test_classes_that_differ_in_blanks_or_case_are_one_and_it_is_said(tmp_path):
    top = voc(tmp_path)
    file = top / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("<name>red<", "<name> RED\n<"))
    found = read("voc", top)
    assert found.class_names == NAMES and boxes_of(found.train) == list(IMAGES.values())
    assert r"the class red is also written ' RED\n'" in notes_of(found)


def test_difficult_objects_are_kept_with_a_flag(tmp_path):
    top = voc(tmp_path)
    file = top / "Annotations" / "b.xml"
    file.write_text(file.read_text().replace("<difficult>0", "<difficult>1"))
    flags = read("voc", top).train.targets["box_flags"]
    assert flags[1, 0] == DIFFICULT and flags.sum() == DIFFICULT


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


def test_the_mark_that_begins_a_text_of_windows_is_no_letter(tmp_path):
    top = voc(tmp_path / "voc", lists={"train": "abc"})
    file = top / "ImageSets/Main/train.txt"
    file.write_text("\ufeff" + file.read_text())
    assert boxes_of(read("voc", top).train) == [IMAGES[name] for name in "abc"]

    top = yolo(tmp_path / "yolo")
    (top / "data.yaml").unlink()
    (top / "classes.txt").write_text("\ufeffblue\r\nred\r\n")
    labels = top / "labels" / "a.txt"
    labels.write_text("\ufeff" + labels.read_text())
    found = read("yolo", top)
    assert found.class_names == NAMES and boxes_of(found.train) == list(IMAGES.values())


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


def test_images_of_another_size_than_told(tmp_path):
    """Where the proportions are the same, boxes were drawn before it was resized."""
    top = voc(tmp_path)
    (width, height), objects = IMAGES["a"]
    larger = [(name, *(2 * side for side in box)) for name, *box in objects]
    told = xml((2 * width, 2 * height), larger).replace(">21<", ">20<")
    (top / "Annotations" / "a.xml").write_text(told)
    (top / "Annotations" / "b.xml").write_text(xml((99, 60), IMAGES["b"][1]))
    found = read("voc", top)
    assert boxes_of(found.train)[:2] == [IMAGES["a"], IMAGES["b"]]
    assert "1 image is of another size than told, in the same proportions" in notes_of(found)
    assert "boxes are taken as pixels of the image as it is: b.png" in notes_of(found)


def test_pixels_that_are_counted_from_zero_are_found(tmp_path):
    top = voc(tmp_path)
    for name, (size, objects) in IMAGES.items():
        moved = [
            (each, left - 1, upper - 1, right, bottom)
            for each, left, upper, right, bottom in objects
        ]
        (top / "Annotations" / f"{name}.xml").write_text(xml(size, moved))
    found = read("voc", top)
    assert "pixels are counted from 0, and not from 1" in notes_of(found)
    assert boxes_of(found.train) == list(IMAGES.values())


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


def test_numbers_of_categories_may_have_gaps_and_headings_are_passed_over(tmp_path):
    rows = coco_rows(numbers=(90, 3))
    rows["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    for row in rows["categories"][1:]:
        row["supercategory"] = "things"
    found = read("coco", coco(tmp_path, rows=rows))
    assert found.class_names == ("red", "blue")  # in the order of their numbers
    assert boxes_of(found.train, found.class_names) == list(IMAGES.values())
    assert "passed over the category 'things'" in notes_of(found)


def test_parts_are_found_by_the_names_of_their_files(tmp_path):
    top = coco(tmp_path)
    rows = coco_rows({name: IMAGES[name] for name in "ef"})
    folder = top / "annotations"
    (folder / "instances.json").rename(folder / "instances_train2017.json")
    (folder / "instances_val2017.json").write_text(json.dumps(rows))
    for place in (top, folder / "instances_train2017.json"):
        found = read("coco", place)
        assert boxes_of(found.train) == list(IMAGES.values())
        assert boxes_of(found.test) == [IMAGES["e"], IMAGES["f"]]
    assert "beside instances_train2017.json, validation is instances_val2017.json" in notes_of(
        found
    )
    (folder / "boxes_train2017.json").write_text(json.dumps(coco_rows()))
    assert "read instances_train2017.json, not boxes_train2017.json" in notes_of(read("coco", top))
    (folder / "instances_train2014.json").write_text(json.dumps(coco_rows()))
    with pytest.raises(UserError, match="several JSON files for train"):
        read("coco", top)


def test_boxes_as_texts_and_rows_that_stand_twice(tmp_path):
    rows = coco_rows()
    rows["annotations"][0]["bbox"] = [str(each) for each in rows["annotations"][0]["bbox"]]
    rows["annotations"].append(dict(rows["annotations"][1]))
    rows["annotations"][3]["id"] = rows["annotations"][2]["id"]
    rows["annotations"].append({**rows["annotations"][1], "id": 77, "image_id": 4711})
    rows["images"].append(dict(rows["images"][0]))
    found = read("coco", coco(tmp_path, rows=rows))
    assert boxes_of(found.train) == list(IMAGES.values())
    told = notes_of(found)
    assert "1 boxes of instances.json are written as texts, and read as numbers" in told
    assert "lists 1 annotations twice" in told and "lists 1 image twice" in told
    assert "1 annotations of instances.json have the id of another; all are taken" in told
    assert (
        "passed over 1 annotations of instances.json of images that it does not list: 4711" in told
    )


def test_a_crowd_is_kept_with_a_flag(tmp_path):
    rows = coco_rows()
    rows["annotations"][0]["iscrowd"] = 1
    rows["annotations"][1]["iscrowd"] = "0"
    flags = read("coco", coco(tmp_path, rows=rows)).train.targets["box_flags"]
    assert flags.tolist()[0] == [1, 0, 0]


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


def test_yolo_takes_its_parts_from_the_description(tmp_path):
    top = yolo(tmp_path)
    (top / "lists.txt").write_text("images/e.png\n./images/f.png\n")
    (top / "data.yaml").write_text(
        "path: .\ntrain: ../images\nval: lists.txt\nnames: {0: blue, 1: red}\n"
    )
    found = read("yolo", top)
    assert boxes_of(found.train) == list(IMAGES.values())
    assert boxes_of(found.test) == [IMAGES["e"], IMAGES["f"]]
    assert "1 image has no labels and is taken for examples without objects: c.png" in notes_of(
        found
    )


def test_yolo_without_a_description(tmp_path):
    top = yolo(tmp_path)
    (top / "data.yaml").unlink()
    with pytest.raises(UserError, match=r"holds neither data\.yaml nor classes\.txt"):
        read("yolo", top)
    (top / "classes.txt").write_text(" blue\nred \n")
    assert boxes_of(read("yolo", top).train) == list(IMAGES.values())
    # Outlines are boxes around them.
    (top / "labels" / "c.txt").write_text("1 0.2 0.2 0.6 0.3 0.4 0.8\n")
    assert boxes_of(read("yolo", top).train)[2] == ((50, 50), [("red", 10, 10, 30, 40)])


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
