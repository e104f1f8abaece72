import json

import numpy as np
import pytest
from box_sets import notes_of, read
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
from cnn_jax.data.boxed_set import DIFFICULT
from cnn_jax.data.fitting import content
from cnn_jax.errors import UserError

WRITERS = {"voc": voc, "coco": coco, "yolo": yolo}


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


def test_a_file_under_two_ids_is_told(tmp_path):
    rows = coco_rows(IMAGES)
    called = rows["images"][0]["file_name"]
    rows["images"].append({**rows["images"][0], "id": 999})
    dataset = read("coco", coco(tmp_path, rows=rows))
    assert len(dataset.train) == len(IMAGES) + 1
    assert f"1 files under several ids, each of which is an example: {called}" in notes_of(dataset)


def test_a_crowd_is_kept_with_a_flag(tmp_path):
    rows = coco_rows()
    rows["annotations"][0]["iscrowd"] = 1
    rows["annotations"][1]["iscrowd"] = "0"
    flags = read("coco", coco(tmp_path, rows=rows)).train.targets["box_flags"]
    assert flags.tolist()[0] == [1, 0, 0]


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
