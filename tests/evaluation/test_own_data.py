"""The part of its own data that a run is judged by, whatever has become of the files."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from evaluation_folders import draw
from PIL import Image
from rich.console import Console

from cnn_jax import UserError, train
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.own_data import FILES, own_part
from cnn_jax.run_folder import RunFolder

RUN = Path("run")
QUIET = Console(quiet=True)


def metrics(found):
    return {name: found[name] for name in ("accuracy", "loss", "examples")}


def test_an_unchanged_folder_gives_the_numbers_of_the_end_of_training(trained, place):
    found = evaluate(RUN)
    assert metrics(found) == metrics(trained[1]["test"]) and found["examples"] == 6
    assert found["notes"] == [] and found["unseen"] is None
    assert evaluate(RUN, split="validation")["examples"] == trained[1]["best"]["examples"] == 11
    with pytest.raises(UserError, match="--split all would count what the run has learnt from"):
        evaluate(RUN, split="all")


def test_a_folder_that_has_grown_counts_the_same_test_images(trained, place):
    draw(Path("photos"), 30, seed=9)
    Image.new("RGB", (30, 20)).save("photos/cat/of another size.png")
    draw(Path("photos"), 2, seed=3, classes=("fox",))
    Path("link").symlink_to("run")
    # Cut anew, the test part would hold what was learnt from. The run lies behind a link.
    found = evaluate(Path("link"))
    assert metrics(found) == metrics(trained[1]["test"])
    assert found["notes"] == [
        f"folder:{place}/photos has changed since the run began: 93 are new, or changed. Counted "
        "are 6 of the 6 test images that it began with"
    ]


def test_every_form_of_files_is_looked_for_where_it_lay():
    """As the table of the documents names the forms."""
    table = (Path(__file__).parents[2] / "docs/data.md").read_text()
    assert set(re.findall(r"`(\w+):(?:PATH|FILE)`", table.partition("## ")[0])) == set(FILES)


def own(restored, split=None):
    return own_part(restored, split, None, RunFolder(RUN).parts())


def test_names_of_files_do_not_count(restored, tested, place):
    for number, file in enumerate(sorted(Path("photos").glob("*/*.png"))):
        file.rename(file.with_name(f"{-number % 7}{number}.png"))
    np.testing.assert_array_equal(own(restored).examples.images, tested)
    assert own(restored).notes == ()
    assert len(own(restored, "train").examples) == 43


def test_images_that_have_gone_are_told(restored, tested, place):
    gone = []
    for file in Path("photos").glob("*/*.png"):
        pixels = np.asarray(Image.open(file))
        if any(np.array_equal(pixels, image) for image in tested):
            file.unlink()
            gone.append(file)
            if len(gone) == 2:
                break
    found = own(restored)
    assert len(found.examples) == 4
    assert "2 are no longer there, or changed. Counted are 4 of the 6 test" in found.notes[0]
    shutil.rmtree("photos")
    draw(Path("photos"), 20, seed=5)
    with pytest.raises(UserError, match=r"none of the 6 test images .* --dataset folder:PATH"):
        own(restored)


def test_relative_data_are_found_from_elsewhere(
    trained, restored, tested, place, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    # Another folder of the same name does not stand for the run's.
    draw(Path("photos"), 5, seed=7)
    parts = RunFolder(place / "run").parts()
    np.testing.assert_array_equal(own_part(restored, None, None, parts).examples.images, tested)
    shutil.rmtree("photos")
    (place / "photos").rename(place / "moved")
    with pytest.raises(UserError, match=r"folder:photos.* is not in .*--dataset folder:PATH"):
        evaluate(place / "run")
    found = evaluate(place / "run", dataset=f"folder:{place}/moved")
    assert metrics(found) == metrics(trained[1]["test"]) and found["split"] == "test"


def test_a_run_of_before_says_that_it_cannot_be_checked(restored, tested, place):
    (RUN / "parts.npz").unlink()
    found = own(restored)
    np.testing.assert_array_equal(found.examples.images, tested)
    assert len(found.notes) == 1 and "cannot be checked" in found.notes[0]


def test_a_run_goes_on_with_renamed_files_and_not_with_others(trained, place, photo_recipe):
    """As many images as before, of nearly the same means."""
    (RUN / "summary.json").unlink()
    first = sorted(Path("photos/cat").iterdir())[0]
    first.rename(first.with_name("zzz.png"))
    summary = train(photo_recipe, RUN, console=QUIET)
    assert summary["test"] == trained[1]["test"]
    (RUN / "summary.json").unlink()
    image = Image.open("photos/cat/zzz.png")
    image.transpose(Image.Transpose.ROTATE_180).save("photos/cat/zzz.png")
    with pytest.raises(UserError, match=r"1 are no longer there, or changed, 1 are new") as told:
        train(photo_recipe, RUN, console=QUIET)
    assert "another --workdir" in str(told.value)
