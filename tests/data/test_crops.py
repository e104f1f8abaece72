import io

import numpy as np
import pytest
from PIL import Image

from cnn_jax.data import crops
from cnn_jax.data.crops import Box, central_box, decode_part, random_box, uniforms
from cnn_jax.data.images import UnreadableImage, decode
from cnn_jax.data.resizing import by_pillow, by_simd


def file_of(pixels, kind="PNG", **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def gradient(height, width):
    """Red tells the column, green the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width), np.arange(height)[:, None]
    return pixels


def test_random_numbers_are_a_function_of_seed_step_and_place():
    first = uniforms(3, 5, 7)
    assert first.shape == (40,) and first.min() >= 0 and first.max() < 1
    assert first[:3].tolist() == uniforms(3, 5, 7)[:3].tolist()
    others = [uniforms(4, 5, 7), uniforms(3, 6, 7), uniforms(3, 5, 8)]
    assert len({tuple(each) for each in [first, *others]}) == 4
    # Fixed for as long as results are compared.
    assert (uniforms(0, 0, 0)[:3] * 1e6).astype(int).tolist() == [342182, 576514, 86651]


def test_a_random_part_has_the_area_and_aspect_that_were_drawn():
    # Area 0.08 + 0.92 * 0.5 = 0.54 of 100 x 200; in the middle of the logarithms the aspect is 1:
    # a square of sqrt(10800) = 103.9 pixels is too high; next come 0.08 and aspect 1: 40 x 40.
    numbers = np.array([[0.5, 0.5, 0, 0], [0.0, 0.5, 0.5, 0.25], *[[0.9] * 4] * 8]).ravel()
    box = random_box(numbers, 100, 200, (0.08, 1.0), (3 / 4, 4 / 3))
    assert box == Box(left=int(0.25 * 161), top=int(0.5 * 61), right=40 + 40, bottom=30 + 40)


def test_random_parts_lie_within_the_image():
    for seed in range(200):
        height, width = 1 + seed % 37, 1 + (7 * seed) % 41
        box = random_box(uniforms(seed, 0, 0), height, width, (0.08, 1.0), (3 / 4, 4 / 3))
        assert 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height


@pytest.mark.parametrize(
    ("height", "width", "box"), [(10, 100, (43, 0, 56, 10)), (100, 9, (0, 44, 9, 56))]
)
def test_a_long_image_gives_what_fits_in_the_middle(height, width, box):
    numbers = np.full(40, 0.999)
    assert random_box(numbers, height, width, (1.0, 1.0), (3 / 4, 4 / 3)) == box


def test_the_part_in_the_middle():
    assert central_box(256, 512, 0.875) == Box(144, 16, 368, 240)
    assert central_box(100, 100, 1.0) == Box(0, 0, 100, 100)
    assert central_box(100, 400, 1.0, aspect=2.0) == Box(100, 0, 300, 100)


def test_a_part_keeps_its_pixels():
    part = decode_part(
        file_of(gradient(20, 30)), "x", (8, 6, 3), lambda height, width: Box(5, 3, 11, 11)
    )
    assert part.dtype == np.uint8
    np.testing.assert_array_equal(part, gradient(20, 30)[3:11, 5:11])


def test_the_whole_is_what_decode_gives():
    content = file_of(gradient(20, 30), "JPEG")
    for shape in [(20, 30, 3), (7, 7, 3), (7, 7, 1)]:
        whole = decode_part(content, "x", shape, lambda height, width: None)
        if shape[0] == 7:
            expected = decode(content, channels=shape[2], image_size=7)
        else:
            expected = decode(content)
        np.testing.assert_array_equal(whole, expected)


def test_a_large_part_of_a_jpeg_is_decoded_smaller_but_is_the_same_part():
    content = file_of(gradient(200, 250), "JPEG", quality=95)
    box = Box(40, 20, 200, 180)
    found = decode_part(content, "x", (16, 16, 3), lambda height, width: box).astype(int)
    # Pixels of 10 x 10: their means are those of the gradients.
    columns, rows = 44.5 + 10 * np.arange(16), 24.5 + 10 * np.arange(16)
    assert np.abs(found[..., 0] - columns).max() <= 4
    assert np.abs(found[..., 1] - rows[:, None]).max() <= 4


def noisy(height, width, seed=0):
    """A gradient with noise in it, so that a JPEG of it is not small."""
    rng = np.random.default_rng(seed)
    pixels = gradient(height, width).astype(int) + rng.integers(0, 60, (height, width, 3))
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.fixture
def left_out(monkeypatch):
    """The images of which rows are not decoded, and a function that has all of them decoded."""
    found, leave_out = [], crops._leave_out_rows

    def noted(image, place, last, factor):
        found.append((image.height, last))
        leave_out(image, place, last, factor)

    def all_rows():
        monkeypatch.setattr(crops, "_leave_out_rows", lambda *_: None)

    monkeypatch.setattr(crops, "_leave_out_rows", noted)
    return found, all_rows


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_rows_below_a_part_are_not_decoded_and_change_nothing(left_out, resample):
    found, all_rows = left_out
    files = [
        file_of(noisy(300 + 7 * seed, 200 + 11 * seed, seed), "JPEG", subsampling=sampling)
        for seed, sampling in enumerate(("4:4:4", "4:2:2", "4:2:0") * 4)
    ]
    boxes = [Box(3, 5, 90, 60), Box(0, 0, 199, 130), Box(10.5, 20.25, 33.75, 201.5)]
    shapes = [(32, 32, 3), (8, 12, 3), (224, 224, 1)]

    def parts():
        return [
            decode_part(content, "x", shape, lambda height, width, box=box: box, resample)
            for content in files
            for box in boxes
            for shape in shapes
        ]

    one = parts()
    assert len(found) == len(one) and all(last < height for height, last in found)
    # Some were decoded smaller besides.
    assert any(height < 300 for height, _ in found)
    all_rows()
    for a, b in zip(one, parts(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_scans_that_refine_an_image_are_read_whole(left_out):
    found, _ = left_out
    content = file_of(noisy(300, 200), "JPEG", progressive=True)
    decode_part(content, "x", (32, 32, 3), lambda height, width: Box(3, 5, 90, 60))
    assert not found


@pytest.mark.parametrize("damage", ["cut off", "tables"])
def test_damage_below_a_part_is_found_too(damage):
    content = file_of(noisy(300, 200), "JPEG", quality=95)
    place = len(content) * 4 // 5
    # A marker that tables follow, but pixels do.
    damaged = content[:place] + (b"" if damage == "cut off" else b"\xff\xdb" + content[place + 2 :])
    with pytest.raises(UnreadableImage, match=r"^photo 7: cannot be read"):
        decode_part(damaged, "photo 7", (8, 8, 3), lambda height, width: Box(3, 5, 90, 60))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_simd_resizes_differs_from_pillow_by_one_at_most(channels):
    pytest.importorskip("cykooz_resizer")
    content = file_of(noisy(200, 250), "PNG")
    for box in (None, Box(3, 5, 90, 60), Box(10.5, 20.25, 33.75, 180.5), Box(0, 0, 250, 200)):
        for shape in ((32, 48), (224, 224)):
            one, other = (
                decode_part(
                    content,
                    "x",
                    (*shape, channels),
                    lambda height, width, box=box: box,
                    resize=resize,
                ).astype(int)
                for resize in (by_pillow, by_simd)
            )
            assert np.abs(one - other).max() <= 1


def test_orientation_comes_before_the_choice():
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = []

    def choose(height, width):
        seen.append((height, width))
        return Box(0, 0, width, height)

    content = file_of(gradient(20, 30), "JPEG", exif=exif, quality=95)
    found = decode_part(content, "x", (30, 20, 3), choose)
    assert seen == [(30, 20)]
    np.testing.assert_array_equal(found, decode(content))


def test_a_damaged_image_is_named():
    content = file_of(gradient(20, 30), "JPEG")
    with pytest.raises(UnreadableImage, match=r"^photo 7: cannot be read"):
        decode_part(content[:400], "photo 7", (8, 8, 3), lambda height, width: None)
