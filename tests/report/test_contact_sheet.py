import numpy as np
import pytest

from cnn_jax.recipe import Augment, Preprocess
from cnn_jax.report.contact_sheet import augmentation_sheet, contact_sheet

GAP = 6


def test_images_lie_in_rows_and_small_ones_are_enlarged():
    images = [np.full((10, 20, 1), value, np.uint8) for value in (10, 20, 30, 40, 50)]
    images[1][0, 1] = 250
    sheet = np.array(contact_sheet(images, [""] * 5, columns=3))
    height, width = 70, 140  # seven times larger, as 6 * 10 is below 64
    assert sheet.shape == (GAP + 2 * (height + GAP), GAP + 3 * (width + GAP), 3)
    for place, value in enumerate((10, 20, 30, 40, 50)):
        y = GAP + place // 3 * (height + GAP)
        x = GAP + place % 3 * (width + GAP)
        expected = np.full((height, width, 3), value)
        if place == 1:
            expected[:7, 7:14] = 250
        np.testing.assert_array_equal(sheet[y : y + height, x : x + width], expected)
        sheet[y : y + height, x : x + width] = 255
    assert (sheet == 255).all()


def test_large_images_keep_their_size_and_colours():
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    sheet = np.asarray(contact_sheet([image], [""], columns=1))
    np.testing.assert_array_equal(sheet[GAP:-GAP, GAP:-GAP], image)


def test_floats_are_clipped_to_their_scale():
    image = np.full((64, 64, 1), 0.5, np.float32)
    image[0, :2, 0] = [-3.0, 7.0]
    sheet = np.asarray(contact_sheet([image], [""], columns=1))
    assert sheet[GAP, GAP : GAP + 3, 0].tolist() == [0, 255, 128]


def test_titles_stand_above_their_images_and_within_their_width():
    image = np.full((64, 64, 1), 255, np.uint8)
    sheet = np.asarray(
        contact_sheet([image, image, image], ["cat", "", "a" + 50 * "very" + "long name"], 3)
    )
    ink = (sheet < 128).all(axis=-1)
    cells = [ink[:, GAP + i * (64 + GAP) : GAP + i * (64 + GAP) + 64].sum() for i in range(3)]
    assert cells[0] > 10 and cells[1] == 0 and cells[2] > 50
    assert sum(cells) == ink.sum()
    assert not ink[-64 - GAP :].any()


@pytest.mark.parametrize("images, titles, columns", [(0, 0, 1), (2, 1, 1), (1, 1, 0)])
def test_what_makes_no_sheet(images, titles, columns):
    with pytest.raises(ValueError, match=f"{images} images, {titles} titles and {columns} col"):
        contact_sheet([np.zeros((2, 2, 1), np.uint8)] * images, [""] * titles, columns)


def test_other_channels_cannot_be_shown():
    with pytest.raises(ValueError, match=r"not \(2, 2, 2\)"):
        contact_sheet([np.zeros((2, 2, 2), np.uint8)], [""], 1)


def cells(sheet, rows, columns, side):
    """The images of a sheet, (rows, columns, side, side, 3)."""
    pixels = np.asarray(sheet)
    line = (pixels.shape[0] - GAP) // rows - side - GAP
    return np.stack(
        [
            [
                pixels[y + line : y + line + side, x : x + side]
                for x in range(GAP, GAP + columns * (side + GAP), side + GAP)
            ]
            for y in range(GAP, GAP + rows * (line + side + GAP), line + side + GAP)
        ]
    )


def sheet_of(augment, *, seed=0, examples=4, variants=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 64, 64, 3), np.uint8)
    sheet = augmentation_sheet(
        images,
        [0, 1, 0, 1, 0, 1],
        ["cat", "dog"],
        preprocess=Preprocess(),
        augment=augment,
        mean=np.array([0.2, 0.5, 0.6], np.float32),
        std=np.array([0.3, 0.2, 0.1], np.float32),
        seed=seed,
        examples=examples,
        variants=variants,
    )
    return images, sheet


def test_the_first_column_is_the_plain_image():
    images, sheet = sheet_of(Augment(mirror="alternating"))
    shown = cells(sheet, 4, 4, 64)
    chosen = [next(i for i, image in enumerate(images) if (image == row[0]).all()) for row in shown]
    assert chosen == sorted(set(chosen))
    # In turn mirrored and not, each undone to the same pixels as before normalisation.
    np.testing.assert_array_equal(shown[:, 1], shown[:, 3])
    np.testing.assert_array_equal(shown[:, 1], shown[:, 2, :, ::-1])
    for plain, first, second in shown[:, :3]:
        assert (plain == first).all() != (plain == second).all()


def test_a_sheet_is_fixed_by_its_seed():
    config = Augment(mirror="random", cutout=20)
    one, again, other = (np.asarray(sheet_of(config, seed=seed)[1]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_cutout_shows_the_mean():
    _, sheet = sheet_of(Augment(cutout=40), variants=2)
    shown = cells(sheet, 4, 3, 64)
    mean = (shown == np.array([51, 128, 153])).all(axis=-1).sum(axis=(2, 3))
    assert (mean[:, 0] < 5).all() and (mean[:, 1:] >= 400).all()


def test_fewer_images_make_fewer_rows():
    _, sheet = sheet_of(Augment(), examples=50, variants=1)
    assert cells(sheet, 6, 2, 64).shape == (6, 2, 64, 64, 3)
    with pytest.raises(ValueError, match="no images"):
        augmentation_sheet(
            [], [], ["a"], preprocess=Preprocess(), augment=Augment(), mean=0, std=1, seed=0
        )


def test_titles_say_how_much_of_another_class_is_in_a_variant():
    def titles(config):
        pixels = np.asarray(sheet_of(config, variants=4, examples=6)[1])
        line = (pixels.shape[0] - GAP) // 6 - 64 - GAP
        return (pixels[GAP : GAP + line, GAP + 64 + GAP :] < 128).any()

    assert titles(Augment(mixup=5.0))
    assert not titles(Augment(rotation=5.0))
