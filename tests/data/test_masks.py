"""Images with masks: how folders are laid out, what masks hold, and what is said of errors."""

import json

import numpy as np
import pytest
from PIL import Image

from cnn_jax.data.mask_set import common_shape, load_masks
from cnn_jax.data.recipe_data import data_spec, in_parts, read_data
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data, Masks

RANDOM = np.random.default_rng(0)
VOC = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)


def image(path, size=(6, 8), channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (*size, channels)).astype(np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path)


def mask(path, values, mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        picture = picture.convert("P") if picture.mode != "P" else picture
        picture = Image.fromarray(np.asarray(values, np.uint8), mode="P")
        picture.putpalette(VOC.ravel().tolist())
    picture.save(path, **options)


def values(shape=(6, 8), of=(0, 1, 2)):
    found = RANDOM.choice(of, shape)
    found.flat[: len(of)] = of
    return found


def segnet(top, counts=(4, 2, 3), of=(0, 1, 2), **options):
    for part, count in zip(("train", "val", "test"), counts, strict=True):
        for place in range(count):
            image(top / part / f"{part}{place}.png")
            mask(top / f"{part}annot" / f"{part}{place}.png", values(of=of), **options)
    return top


def load(top, **options):
    masks = {key: options.pop(key) for key in ("classes", "ignore") if key in options}
    return load_masks(top, Masks(**masks), **options)


def refused(top, **options):
    with pytest.raises(UserError) as error:
        load(top, **options)
    return str(error.value)


def test_segnets_layout_is_read_as_it_lies(tmp_path):
    top = segnet(tmp_path)
    (top / "classes.txt").write_text("Sky\nRoad\nVoid\n")
    found = load(top)
    assert found.class_names == ("Sky", "Road")  # what is called void is no class
    assert [len(part) for part in (found.train, found.validation, found.test)] == [4, 2, 3]
    assert found.train.images.shape == (4, 6, 8, 3) and found.train.targets.dtype == np.uint8
    stored = np.asarray(Image.open(top / "trainannot" / "train1.png"))
    np.testing.assert_array_equal(found.train.targets[1], np.where(stored == 2, 255, stored))
    assert any("Void (2)" in note for note in found.notes)
    facts = data_spec(found).facts
    assert facts["mask_values"] == (0, 1)
    counts = [(found.train.targets == place).sum() for place in (0, 1)]
    assert facts["pixels"] == tuple(counts) and facts["beside"] == (sum(counts),) * 2


def test_images_beside_masks_are_divided_by_lists_or_cut(tmp_path):
    for place in range(20):
        image(tmp_path / "images" / f"{place}.jpg")
        mask(tmp_path / "masks" / f"{place}_mask.png", values(), mode="P")
    found = load(tmp_path)
    assert (len(found.train), len(found.test)) == (18, 2)
    assert any("the test part is 2 examples cut" in note for note in found.notes)
    assert data_spec(found).facts["colours"] == tuple(VOC.ravel())
    assert found.class_names == ("class_0", "class_1", "class_2")

    (tmp_path / "train.txt").write_text("".join(f"{place}\n" for place in range(12)))
    (tmp_path / "val.txt").write_text("images/12.jpg masks/12_mask.png\n13\n")
    (tmp_path / "test.txt").write_text("14.jpg\n")
    found = load(tmp_path)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [12, 2, 1]
    assert "5 images are in none of the lists and are left out" in found.notes
    (tmp_path / "test.txt").write_text("14.jpg\nhorse\n")
    assert "1 names in" in (told := refused(tmp_path)) and "horse" in told
    (tmp_path / "test.txt").write_text("1\n")
    assert "1 images are named more than once" in refused(tmp_path)
    (tmp_path / "test.txt").write_text("\u00e9\n", encoding="latin-1")
    assert "test.txt is not written in UTF-8 (byte 0)" in refused(tmp_path)


def test_names_in_lists_may_hold_dots(tmp_path):
    for place in range(4):
        image(tmp_path / "images" / f"street.{place}.png")
        mask(tmp_path / "masks" / f"street.{place}.png", values())
    (tmp_path / "train.txt").write_text("street.0\nstreet.1.png\n")
    (tmp_path / "test.txt").write_text("street.2\n")
    found = load(tmp_path)
    assert (len(found.train), len(found.test)) == (2, 1)


def test_folders_of_images_may_be_links(tmp_path):
    segnet(tmp_path / "there")
    (tmp_path / "set").mkdir()
    for part in ("train", "test"):
        for name in (part, f"{part}annot"):
            (tmp_path / "set" / name).mkdir()
            (tmp_path / "set" / name / "street").symlink_to(tmp_path / "there" / name)
    found = load(tmp_path / "set")
    assert (len(found.train), len(found.test)) == (4, 3)


def test_parts_may_lie_in_folders_of_images_and_of_masks(tmp_path):
    """Also where a folder beside them is called labels and holds no pictures."""
    (tmp_path / "labels" / "train2017").mkdir(parents=True)
    (tmp_path / "labels" / "train2017" / "a.txt").write_text("0 1 1 1 1")
    for part in ("train2017", "val2017"):
        image(tmp_path / "images" / part / "a.jpg")
        mask(tmp_path / "semantic" / part / "a.png", values(of=(0, 7, 9)))
    (tmp_path / "semantic" / "classes.json").write_text(
        json.dumps({"0": "unlabeled", "7": "train", "9": "boat", "11": "hydrant"})
    )
    found = load(tmp_path, test_part=0)
    assert found.class_names == ("train", "boat", "hydrant")
    assert data_spec(found).facts["mask_values"] == (7, 9, 11)
    assert set(np.unique(found.train.targets)) == {0, 1, 255}
    assert any("of 1 of 3 classes: hydrant" in note for note in found.notes)


def test_images_of_different_sizes_are_fitted_and_masks_stay_as_they_are(tmp_path):
    sizes = [(40, 20), (20, 40), (30, 30), (40, 20)]
    for place, size in enumerate(sizes):
        image(tmp_path / "images" / f"{place}.png", size)
        mask(tmp_path / "masks" / f"{place}.png", values(size))
    found = load(tmp_path, image_size=16, test_part=0).train
    assert found.images.shape == (4, 16, 16, 3) and found.targets["mask"].shape == (4, 40, 40)
    np.testing.assert_array_equal(found.targets["size"], sizes)
    for place, (height, width) in enumerate(sizes):
        stored = np.asarray(Image.open(tmp_path / "masks" / f"{place}.png"))
        np.testing.assert_array_equal(found.targets["mask"][place, :height, :width], stored)
        assert (found.targets["mask"][place] == 255).sum() == 1600 - height * width
    fill = found.images[0, :, 8:]  # the right half of the first, which is twice as high as wide
    assert (fill == fill[0, 0]).all() and (found.images[0, :, :8] != fill[0, 0]).any()
    spec = data_spec(load(tmp_path, image_size=16, test_part=0))
    assert {name: each.kind for name, each in spec.targets.items()} == {
        "mask": "mask",
        "size": "size",
    }


def test_the_common_size_keeps_proportions_where_all_have_them():
    same = np.array([[480, 640], [240, 320]])
    assert common_shape(same) == (360, 480)
    assert common_shape(same, 64) == (48, 64)
    assert common_shape(same[:1]) == (480, 640)
    assert common_shape(same[:, ::-1], 64) == (64, 48)
    assert common_shape(np.array([[480, 640], [640, 480]])) == (512, 512)


@pytest.mark.parametrize(
    ("of", "names", "void"),
    [
        ((0, 255), ("class_0", "class_255"), 0),
        ((0, 128, 255), ("class_0", "class_128", "class_255"), 0),
        ((0, 1, 255), ("class_0", "class_1"), 1),
        ((1, 2, 3), ("class_1", "class_2", "class_3"), 0),
    ],
)
def test_values_without_names_are_classes_in_their_order(tmp_path, of, names, void):
    found = load(segnet(tmp_path, of=of))
    assert found.class_names == names
    assert sorted(np.unique(found.train.targets)) == [*range(len(names)), *[255] * void]
    if of[-1] == 255 and not void:
        assert any("taken for classes in their order: 0 for 0" in note for note in found.notes)


def test_two_named_classes_may_be_black_and_white(tmp_path):
    top = segnet(tmp_path, of=(0, 255))
    (top / "classes.txt").write_text("ground\ncell\n")
    found = load(top)
    assert found.class_names == ("ground", "cell")
    assert set(np.unique(found.train.targets)) == {0, 1}
    assert "the values 0 and 255 of the masks stand for 0 and 1" in found.notes
    assert data_spec(found).facts["mask_values"] == (0, 255)


def test_masks_in_colour_need_a_table_of_colours(tmp_path):
    for place in range(4):
        image(tmp_path / "images" / f"{place}.png")
        mask(tmp_path / "masks" / f"{place}.png", VOC[values()])
    assert "classes.csv with the columns name, r, g, b" in refused(tmp_path)
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nnone,0,0,0\nwall,128,0,0\n")
    told = refused(tmp_path)
    assert "4 masks hold 1 colours" in told and "0, 128, 0" in told
    table.write_text("name,r,g,b\nnone,0,0,0\nwall,128,0,0\nvoid,0,128,0\n")
    found = load(tmp_path, test_part=0)
    assert found.class_names == ("none", "wall")
    stored = np.asarray(Image.open(tmp_path / "masks" / "2.png"))
    np.testing.assert_array_equal(found.train.targets[2] == 255, stored[..., 1] == 128)
    assert data_spec(found).facts["colours"] == (0, 0, 0, 128, 0, 0)


def test_masks_of_another_size_are_named_with_their_count(tmp_path):
    top = segnet(tmp_path)
    for name in ("train1", "train3"):
        mask(top / "trainannot" / f"{name}.png", values((6, 9)))
    told = refused(top)
    assert "2 masks have another size" in told and "train1.png has 6x9 pixels" in told
    assert "train3.png" in told and "6x8" in told


def test_values_beyond_the_classes_are_named(tmp_path):
    top = segnet(tmp_path)
    (top / "classes.txt").write_text("sky\nroad\n")
    told = refused(top)
    assert "9 masks hold values beyond the 2 classes" in told and ": 2" in told
    assert "--data.masks.ignore" in told
    assert load(top, ignore=(2,)).class_names == ("sky", "road")


def test_images_without_a_mask_are_named_or_left_out(tmp_path):
    top = segnet(tmp_path)
    for name in ("train0", "train2"):
        (top / "trainannot" / f"{name}.png").unlink()
    told = refused(top)
    assert "2 images have no mask" in told and "train0.png" in told and "--data.skip-bad" in told
    found = load(top, skip_bad=True)
    assert len(found.train) == 2 and any("2 images have no mask" in note for note in found.notes)


def test_images_that_end_early_are_named_or_left_out(tmp_path):
    top = segnet(tmp_path)
    file = top / "train" / "train1.png"
    image(file, (60, 80))
    file.write_bytes(file.read_bytes()[:2000])
    assert "train1.png: cannot be read (image file is truncated)" in refused(top)
    found = load(top, skip_bad=True)
    assert len(found.train) == 3 and any("train1.png" in note for note in found.notes)


def test_what_is_no_set_of_masks_is_refused(tmp_path):
    assert "no such folder" in refused(tmp_path / "nowhere")
    (tmp_path / "images").mkdir()
    assert "holds no folder of images" in refused(tmp_path)
    image(tmp_path / "images" / "a.png")
    assert "holds no folder of masks" in refused(tmp_path)
    mask(tmp_path / "masks" / "a.png", np.zeros((6, 8)))
    assert "one class, class_0" in refused(tmp_path)
    image(tmp_path / "labels" / "a.png")
    assert "two folders for the masks" in refused(tmp_path)


def test_smoothed_masks_are_refused(tmp_path):
    image(tmp_path / "images" / "a.png", (16, 16))
    mask(tmp_path / "masks" / "a.png", np.arange(256).reshape(16, 16))
    assert "255 different values" in refused(tmp_path)
    (tmp_path / "masks" / "a.png").unlink()
    mask(tmp_path / "masks" / "a.jpg", np.arange(256).reshape(16, 16))
    assert "is a JPEG, which blurs the values" in refused(tmp_path)
    black = np.zeros((16, 16))
    black[:, 8:] = 255
    mask(tmp_path / "masks" / "a.jpg", black)
    found = load(tmp_path, test_part=0).train.targets[0]
    np.testing.assert_array_equal(found, black / 255)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("classes.txt", "a\nb\na\n", "the name a more than once"),
        ("classes.csv", "name,r,g,b\na,0,0,0\nb,0,0,0\nc,1,1,1\n", "the colour (0, 0, 0) more"),
        ("classes.csv", "name,r,g,b\na,0,0,x\n", "is no list of classes"),
        ("classes.json", "{", "is no list of classes"),
        ("classes.json", "[" * 100_000, "is nested too deeply"),
        ("classes.csv", "name,value,r,g,b\na,0,0,0,0\nb,1\n", "b,1 has 2 cells, and 5 are named"),
        ("classes.txt", "\n", "names no class"),
    ],
)
def test_a_file_of_classes_is_checked(tmp_path, name, text, error):
    top = segnet(tmp_path, counts=(2, 1, 1))
    (top / name).write_text(text)
    assert error in refused(top)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "a\nb\nc\n"),
        ("classes.txt", "0: a\n1: b\n2: c\n"),
        ("label_colors.txt", "1 2 3\ta\n4 5 6\tb\n7 8 9\tc\n"),
        ("classes.csv", "class;x\n".replace(";", ",") + "a,1\nb,1\nc,1\n"),
        ("classes.json", '["a", "b", "c"]'),
        ("classes.json", '{"classes": [{"name": "b", "id": 1}, {"name": "a", "id": 0}, '
         '{"name": "c", "id": 2}]}'),
        ("classes.json", '{"a": 0, "b": 1, "c": 2}'),
    ],
)  # fmt: skip
def test_classes_are_named_by_texts_tables_and_json(tmp_path, name, text):
    top = segnet(tmp_path, counts=(2, 1, 1))
    (top / name).write_text(text)
    assert load(top).class_names == ("a", "b", "c")


def test_a_recipe_reads_and_cuts_them(tmp_path):
    top = segnet(tmp_path, counts=(12, 0, 3))
    config = Data(f"masks:{top}", validation=4)
    found = in_parts(read_data(config, kind="mask"), config)
    assert (len(found.train), len(found.validation)) == (8, 4)
    with pytest.raises(UserError, match="masks are learnt by"):
        read_data(config)
    with pytest.raises(UserError, match="cannot stream"):
        read_data(Data(f"masks:{top}", streaming=True), kind="mask")
    with pytest.raises(UserError, match="digits has classes"):
        read_data(Data("digits"), kind="mask")
