"""Masks, lists and class names as other programs write them."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from cnn_jax.data.class_table import read_classes
from cnn_jax.data.mask_folders import find_pairs
from cnn_jax.data.mask_pixels import read_raw
from cnn_jax.data.mask_set import load_masks
from cnn_jax.errors import UserError
from cnn_jax.recipe import Masks

VALUES = np.arange(12).reshape(3, 4) % 3


def mask_set(top, names=("0", "1", "2"), **options):
    for name in names:
        for folder, values in (("images", VALUES * 80), ("masks", VALUES)):
            file = top / folder / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(file, **options)
    return top


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "int64", "float32"])
def test_whole_numbers_of_any_kind_are_values(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", (VALUES * 1000).astype(dtype))
    raw = read_raw(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw.values, VALUES * 1000)
    assert not raw.colour


def test_transparency_is_no_colour(tmp_path):
    both = np.stack([VALUES, np.full_like(VALUES, 255)], -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", both, photometric="minisblack", extrasamples=[2])
    np.testing.assert_array_equal(read_raw(tmp_path / "a.tif").values, VALUES)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (VALUES / 2, "holds fractions, and a mask holds whole numbers"),
        (VALUES * 2.0**24, "holds values of 16,777,216 and more, which no mask needs"),
        (np.stack([VALUES * 9000, VALUES, VALUES], -1), "has colours beyond 0 to 255; give 8 bits"),
        (np.stack([VALUES] * 6, -1), "has 6 channels, and a mask has one or three"),
    ],
)
def test_what_no_mask_holds_is_refused(tmp_path, values, said):
    dtype = np.float32 if values.dtype.kind == "f" else np.uint16
    colours = "rgb" if values.shape[-1] == 3 else "minisblack"
    more = {"planarconfig": "contig"} if values.ndim == 3 else {}
    tifffile.imwrite(tmp_path / "a.tif", values.astype(dtype), photometric=colours, **more)
    with pytest.raises(UserError) as error:
        read_raw(tmp_path / "a.tif")
    assert str(error.value) == f"{tmp_path}/a.tif: {said}"


def test_of_several_pages_the_first_is_read_aloud(tmp_path):
    mask_set(tmp_path)
    (tmp_path / "masks" / "0.png").unlink()
    pages = np.stack([VALUES, VALUES[::-1]]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "masks" / "0.tif", pages, photometric="minisblack")
    found = load_masks(tmp_path, Masks(), test_part=0)
    np.testing.assert_array_equal(found.train.targets[0], VALUES)
    assert "of 1 masks with several pages the first is read" in found.notes


def test_an_image_and_its_mask_are_turned_alike(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    found = load_masks(mask_set(tmp_path, exif=exif), Masks(), test_part=0)
    np.testing.assert_array_equal(found.train.targets[0], np.rot90(VALUES, -1))
    # The common size is that of the upright images.
    assert found.train.image_shape == (4, 3, 1)


def test_lists_tell_images_of_one_name_apart(tmp_path):
    mask_set(tmp_path, ("a/0", "a/1", "b/0", "b/2"))
    (tmp_path / "TRAIN.TXT").write_text("a/0.png\r\nimages\\b\\0.png\r\n2\r\n")
    found = find_pairs(tmp_path)
    paths = [pair.image.relative_to(tmp_path / "images") for pair in found.parts["train"]]
    assert list(map(str, paths)) == ["a/0.png", "b/0.png", "b/2.png"]
    (tmp_path / "TRAIN.TXT").write_text("0\n")
    with pytest.raises(UserError, match=r"TRAIN.TXT names 0, which may be a/0 or b/0; write it"):
        find_pairs(tmp_path)
    (tmp_path / "TRAIN.TXT").write_text("\n")
    with pytest.raises(UserError, match=r"TRAIN.TXT lists no images; fill it, or remove it"):
        find_pairs(tmp_path)


def test_folders_of_no_part_are_told(tmp_path):
    mask_set(tmp_path)
    (tmp_path / "train").mkdir()
    mask_set(tmp_path / "train")
    (tmp_path / "masks").rename(tmp_path / "testannot")
    notes = find_pairs(tmp_path).notes
    assert "the folder images is passed over: it belongs to no part" in notes
    assert "the folder testannot is passed over: it belongs to no part" in notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_class_names_stand_in_any_table(tmp_path, delimiter):
    mask_set(tmp_path)
    text = (
        "name,value\nsky,0\nroad,1\n".replace(",", delimiter)
        + f'"tree{delimiter} bush"'
        + (f"{delimiter}2\n")
    )
    (tmp_path / "Classes.CSV").write_text(text)
    found = load_masks(tmp_path, Masks(), test_part=0)
    assert found.class_names == ("sky", "road", f"tree{delimiter} bush")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"name": "a", "id": 1e400}]', "Infinity is no whole number"),
        ('[{"name": "a", "id": 1.5}]', "1.5 is no whole number"),
        ('{"0": "a", "1": null}', "null is no name"),
        ('["a", " "]', "has a class without a name, that of the value 1"),
    ],
)
def test_class_names_are_not_guessed(tmp_path, text, said):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(UserError) as error:
        read_classes(tmp_path / "classes.json")
    assert said in str(error.value)
