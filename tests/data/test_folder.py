import os
from pathlib import Path

import numpy as np
import pytest
from grey_files import classes, grey, values
from PIL import Image

from cnn_jax.data.folder import find_files, load_folder
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.json_values import from_json, read_json, to_json, write_json


def test_flat_folder_has_a_test_part_cut(tmp_path):
    dataset = load_folder(str(classes(tmp_path, 20)))
    assert dataset.name == f"folder:{tmp_path}"
    assert dataset.source == str(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.validation is None
    assert dataset.train.images.shape == (36, 4, 4, 1)
    assert dataset.test.images.shape == (4, 4, 4, 1)
    assert np.bincount(dataset.train.labels).tolist() == [18, 18]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]
    seen = sorted(values(dataset.train) + values(dataset.test))
    assert seen == [*range(20), *range(100, 120)]
    for split in [dataset.train, dataset.test]:
        assert [value // 100 for value in values(split)] == split.labels.tolist()
    assert dataset.notes == (
        "the test part is 4 examples cut from train by a fixed stratified rule "
        "(--data.test 0: none)",
    )


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "Val"])
def test_given_splits_are_kept(validation, tmp_path):
    for place, split in enumerate(["train", validation, "test"]):
        for label, name in enumerate(["b", "a"]):
            grey(tmp_path / split / name / "x.png", 10 * place + label)
    dataset = load_folder(str(tmp_path))
    assert dataset.class_names == ("a", "b")
    assert values(dataset.train) == [1, 0]
    assert values(dataset.validation) == [11, 10]
    assert values(dataset.test) == [21, 20]
    for split in [dataset.train, dataset.validation, dataset.test]:
        assert split.labels.tolist() == [0, 1]
    assert dataset.notes == ()


def test_train_folder_alone(tmp_path):
    classes(tmp_path / "train")
    dataset = load_folder(str(tmp_path))
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (18, 2, None)


def test_a_class_may_be_called_train(tmp_path):
    classes(tmp_path, names=("bus", "car", "train"))
    assert load_folder(str(tmp_path)).class_names == ("bus", "car", "train")


def test_classes_and_files_are_sorted_by_name(tmp_path):
    for name in ["Zebra", "ant", "10", "9"]:
        for file in ["b.png", "a.PNG", "B.bmp"]:
            grey(tmp_path / "train" / name / file, ord(file[0]))
            grey(tmp_path / "test" / name / file, ord(file[0]))
    dataset = load_folder(str(tmp_path))
    assert dataset.class_names == ("10", "9", "Zebra", "ant")
    assert values(dataset.train) == [ord("B"), ord("a"), ord("b")] * 4


def test_one_image_in_colour_makes_all_three_channels(tmp_path):
    classes(tmp_path)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "dog" / "colour.png")
    dataset = load_folder(str(tmp_path))
    images = np.concatenate([dataset.train.images, dataset.test.images])
    assert images.shape == (21, 4, 4, 3)
    colour = (images != images[..., :1]).any((1, 2, 3))
    assert colour.sum() == 1
    assert images[colour][0, 0, 0].tolist() == [1, 2, 3]


def test_images_are_resized(tmp_path):
    classes(tmp_path)
    grey(tmp_path / "dog" / "wide.png", 7, (30, 5))
    with pytest.raises(UserError) as caught:
        load_folder(str(tmp_path))
    assert str(caught.value) == (
        f"the images differ in size (height x width): {tmp_path}/cat/000.png has 4 x 4 pixels and "
        f"{tmp_path}/dog/wide.png has 5 x 30 pixels; give a side to which all are resized, such as "
        "--data.image-size 64"
    )
    dataset = load_folder(str(tmp_path), image_size=6)
    assert dataset.train.images.shape == (19, 6, 6, 1)
    assert 7 in values(dataset.train) + values(dataset.test)
    with pytest.raises(UserError, match=r"--data\.image-size 0 must be at least 1"):
        load_folder(str(tmp_path), image_size=0)


def test_turned_images_differ_in_size(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    for name in ["a", "b"]:
        grey(tmp_path / name / "0.png", 0, (6, 4))
    Image.new("L", (6, 4)).save(tmp_path / "b" / "1.png", exif=exif)
    with pytest.raises(UserError, match=r"/a/0.png has 4 x 6 .*/b/1.png has 6 x 4 pixels"):
        load_folder(str(tmp_path))


def test_memory_is_checked_before_anything_is_decoded(tmp_path):
    classes(tmp_path)
    # Its header is good, its pixels are not.
    whole = (tmp_path / "cat" / "000.png").read_bytes()
    (tmp_path / "cat" / "000.png").write_bytes(whole[:45])
    with pytest.raises(UserError, match=r"20 images of 4x4x1 bytes"):
        load_folder(str(tmp_path), max_bytes=319)
    with pytest.raises(UserError, match=r"20 images of 9x9x1 bytes.*at most 8"):
        load_folder(str(tmp_path), image_size=9, max_bytes=1500)
    with pytest.raises(UserError, match="cannot be read"):
        load_folder(str(tmp_path), max_bytes=320)


def test_bad_files_are_named_all_together(tmp_path):
    classes(tmp_path)
    (tmp_path / "cat" / "cut.png").write_bytes((tmp_path / "cat" / "000.png").read_bytes()[:45])
    (tmp_path / "cat" / "words.jpg").write_text("words")
    (tmp_path / "dog" / "empty.png").touch()
    Image.new("L", (4, 4)).save(tmp_path / "dog" / "scan.gif")
    with pytest.raises(UserError) as caught:
        load_folder(str(tmp_path))
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"folder:{tmp_path} has 4 files that cannot be read:"
    assert [line.strip().removeprefix(f"{tmp_path}/") for line in lines] == [
        "cat/cut.png: cannot be read (image file is truncated)",
        "cat/words.jpg: is not a JPEG, PNG, BMP, WebP or TIFF image",
        "dog/empty.png: is empty",
        "dog/scan.gif: is of the format GIF, which is not read; convert it to PNG",
    ]
    assert "--data.skip-bad" in last


def test_bad_files_are_left_out_on_request(tmp_path, capsys):
    classes(tmp_path)
    for place in range(23):
        (tmp_path / "cat" / f"bad{place:02d}.png").write_text("words")
    dataset = load_folder(str(tmp_path), skip_bad=True)
    assert len(dataset.train) == 18
    assert sorted(values(dataset.train) + values(dataset.test)) == [*range(10), *range(100, 110)]
    first, *named = dataset.notes[0].splitlines()
    assert first == "left out 23 files that cannot be read:"
    assert "bad00.png: is not" in named[0] and len(named) == 23
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == f"left out of folder:{tmp_path}: 23 files that cannot be read:"
    assert "bad00.png: is not" in errors[1] and "bad19.png: is not" in errors[20]
    assert "bad22.png: is not" in errors[23] and len(errors) == 24


def test_a_pipe_does_not_hold_up_the_reader(tmp_path):
    classes(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "dog" / "link.png").symlink_to(tmp_path / "gone.png")
    note = load_folder(str(tmp_path), skip_bad=True).notes[0]
    assert note.count("is a pipe or a device") == 2 and "link.png: cannot be read (No such" in note


def test_notes_name_the_first_hundred_files(tmp_path):
    classes(tmp_path)
    for place in range(103):
        (tmp_path / "cat" / f"{place}.txt").touch()
    note = load_folder(str(tmp_path)).notes[0].splitlines()
    assert len(note) == 102 and note[-1] == "  and 3 more"


def test_images_are_known_by_their_first_bytes(tmp_path):
    classes(tmp_path, 3)
    names = [
        "a.jfif",
        "b.jpe",
        "c",
        "d.jpg_large",
        "e.JPG",
        "f.dat",
        "g.txt",
        "h.old.jpg~",
        "i.Png",
    ]
    for place, name in enumerate(names):
        format = "JPEG" if place % 2 else "PNG"
        Image.new("L", (4, 4), 50 + place).save(tmp_path / "cat" / name, format)
    dataset = load_folder(str(tmp_path))
    assert sorted(values(dataset.train) + values(dataset.test)) == [
        *range(3),
        *range(50, 50 + len(names)),
        *range(100, 103),
    ]
    assert len(dataset.notes) == 1


def test_only_what_is_known_to_be_no_image_is_passed_over(tmp_path):
    classes(tmp_path)
    others = {
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
        "desktop.ini": b"\xff\xfe[\0",
        "labels": b"cat,1\n",
        "notes.odd": "ein Wörtchen".encode(),
        "paper": b"%PDF-1.7 \0",
        "a.jpg.json": b"{}",
        "_SUCCESS": b"",
    }
    unread = {
        "clip": (b"GIF89a" + bytes(30), "is of the format GIF, which is not read"),
        "phone": (bytes(4) + b"ftypheic" + bytes(30), "is of the format HEIC, which is not read"),
        "new": (bytes(4) + b"ftypavif" + bytes(30), "is of the format AVIF, which is not read"),
        "scan.png": (b"II*\0" + bytes(30), "cannot be read ("),
        "lost": (b"", "is empty"),
        "page.jpg": (b"<html>", "is not a JPEG, PNG, BMP, WebP or TIFF image"),
        "damaged": (bytes(range(256)), "is not a JPEG, PNG, BMP, WebP or TIFF image"),
    }
    for name, content in others.items():
        (tmp_path / "cat" / name).write_bytes(content)
    for name, (content, _) in unread.items():
        (tmp_path / "cat" / name).write_bytes(content)
    dataset = load_folder(str(tmp_path), skip_bad=True)
    assert len(dataset.train) + len(dataset.test) == 20
    passed_over, left_out, _ = dataset.notes
    assert {Path(line.strip()).name for line in passed_over.splitlines()[1:]} == set(others)
    told = dict(line.strip().split(": ", 1) for line in left_out.splitlines()[1:])
    assert {Path(file).name for file in told} == set(unread)
    for name, (_, reason) in unread.items():
        assert told[f"{tmp_path}/cat/{name}"].startswith(reason)


@pytest.mark.parametrize("name", ["p [2024]", "a**b", "what?", "{x,y}", "caf\udce9", "100% é"])
def test_any_name_is_read_as_it_is(name, tmp_path):
    top = classes(tmp_path / name, names=(f"cat {name}", f"dog {name}"))
    (top / f"cat {name}" / f"bad {name}.png").touch()
    (top / f"cat {name}" / f"{name}.txt").touch()
    dataset = load_folder(str(top), skip_bad=True)
    assert dataset.class_names == (f"cat {name}", f"dog {name}")
    assert len(dataset.train) + len(dataset.test) == 20
    assert f"{top}/cat {name}/{name}.txt" in dataset.notes[0]
    spec = data_spec(dataset)
    write_json(tmp_path / "data.json", to_json(spec))
    assert from_json(read_json(tmp_path / "data.json"), DataSpec, "data.json") == spec


def test_a_class_to_learn_from_needs_a_good_file(tmp_path):
    for split in ["train", "test"]:
        classes(tmp_path / split, 2)
    for file in (tmp_path / "test" / "dog").iterdir():
        file.write_text("words")
    assert load_folder(str(tmp_path), skip_bad=True).notes[-1] == (
        "the test part has no images of: dog"
    )
    for file in tmp_path.glob("test/*/*"):
        file.write_text("words")
    with pytest.raises(UserError, match="no image in the test part can be read"):
        load_folder(str(tmp_path), skip_bad=True)
    for file in tmp_path.glob("*/*/*"):
        file.write_text("words")
    with pytest.raises(UserError, match="no image of the class cat in the train part"):
        load_folder(str(tmp_path), skip_bad=True)


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_part_that_is_not_learnt_from_may_lack_a_class(part, tmp_path):
    classes(tmp_path / "train", 10, ("cat", "dog", "owl"))
    classes(tmp_path / part, 1, ("cat", "owl"))
    (tmp_path / part / "dog").mkdir()
    for _ in ("an empty folder", "none"):
        dataset = load_folder(str(tmp_path))
        found = dataset.test if part == "test" else dataset.validation
        assert found.labels.tolist() == [0, 2] and values(found) == [0, 100]
        name = "test" if part == "test" else "validation"
        assert dataset.notes[0] == f"the {name} part has no images of: dog"
        assert find_files(tmp_path).notes == dataset.notes[:1]
        if (tmp_path / part / "dog").exists():
            (tmp_path / part / "dog").rmdir()


def test_other_files_are_noted_and_hidden_ones_are_not(tmp_path):
    classes(tmp_path / "train")
    classes(tmp_path / "test")
    (tmp_path / "README.md").touch()
    (tmp_path / "train" / "cat" / "labels.csv").touch()
    (tmp_path / "train" / "cat" / ".thumbs.png").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "train" / ".cache").mkdir()
    dataset = load_folder(str(tmp_path))
    assert len(dataset.train) == 20
    assert dataset.notes == (
        "passed over 2 files that are not images:\n"
        f"  {tmp_path}/README.md\n  {tmp_path}/train/cat/labels.csv",
    )


def test_missing_folder_and_file(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        load_folder(str(tmp_path / "none"))
    (tmp_path / "data.zip").touch()
    with pytest.raises(UserError, match=r"data\.zip is a file"):
        load_folder(str(tmp_path / "data.zip"))


def test_layouts_that_are_not_understood(tmp_path):
    def error(name: str) -> str:
        with pytest.raises(UserError) as caught:
            load_folder(str(tmp_path / name))
        return str(caught.value).replace(f"{tmp_path}/", "")

    (tmp_path / "empty").mkdir()
    assert error("empty") == "empty holds no folders; put the images of each class in a folder"
    classes(tmp_path / "top")
    grey(tmp_path / "top" / "a.png", 0)
    assert error("top").startswith("top holds 1 images directly, such as a.png")
    classes(tmp_path / "one", names=("cat",))
    assert error("one").startswith("one holds 1 class folders; there must be at least 2")
    classes(tmp_path / "hollow")
    (tmp_path / "hollow" / "eel").mkdir()
    (tmp_path / "hollow" / "eel" / "a.txt").touch()
    assert error("hollow").startswith("the class folder hollow/eel holds no images")
    classes(tmp_path / "deep")
    grey(tmp_path / "deep" / "dog" / "more" / "a.png", 0)
    assert error("deep").startswith("the class folder deep/dog holds the folder more")


def test_splits_that_do_not_fit(tmp_path):
    def error(name: str) -> str:
        with pytest.raises(UserError) as caught:
            load_folder(str(tmp_path / name))
        return str(caught.value).replace(f"{tmp_path}/", "")

    classes(tmp_path / "differ" / "train", 1, ("cat", "dog", "eel"))
    classes(tmp_path / "differ" / "test", 1, ("cat", "dogs"))
    assert error("differ") == ("differ/test has class folders that the train folder has not: dogs")
    classes(tmp_path / "mixed" / "train", 1)
    classes(tmp_path / "mixed", 1, ("eel", "fox"))
    assert error("mixed").startswith(
        "mixed holds the split folders train and beside them eel, fox;"
    )
    classes(tmp_path / "no-train" / "test", 1)
    assert error("no-train") == "no-train holds test but no train folder"
    for name in ["train", "val", "valid"]:
        classes(tmp_path / "two" / name, 1)
    assert error("two") == "two holds two validation folders: val, valid"
    classes(tmp_path / "unsorted", 1, ("train", "test"))
    assert error("unsorted").startswith("unsorted/train holds 1 images directly, such as 000.png")
    classes(tmp_path / "bare" / "train", 1)
    (tmp_path / "bare" / "test").mkdir()
    assert error("bare") == "bare/test holds no images; put some there, or remove it"


def test_too_few_images_to_cut_a_test_part(tmp_path):
    with pytest.raises(UserError, match="one of 0 cannot be cut from 4 examples; --data"):
        load_folder(str(classes(tmp_path, 2)))
