"""Other data than a run's own: judged whole, by the rules of `predict`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from evaluation_folders import draw
from PIL import Image

from cnn_jax import UserError
from cnn_jax.data.resizing import resize
from cnn_jax.evaluation.as_taken import in_shape, view_of
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.judged import judged_set
from cnn_jax.evaluation.predict import predict
from cnn_jax.run_folder import RunFolder


@pytest.fixture
def judged(restored, trained, tmp_path, monkeypatch):
    """`judged(path)`: the examples of a folder below the working directory, and the notes."""
    monkeypatch.chdir(tmp_path)
    parts = RunFolder(trained[0] / "run").parts()

    def judge(path, split=None, *, skip_bad=False, learnt=parts, folder=True):
        name = f"folder:{path}" if folder else path
        return judged_set(restored, name, split, None, skip_bad=skip_bad, learnt=learnt)

    return judge


def test_a_folder_without_parts_is_judged_whole(judged):
    found = judged(draw(Path("new"), 7, seed=1))
    assert found.split == "all" and len(found.examples) == 21
    assert np.bincount(found.examples.labels).tolist() == [7, 7, 7]
    assert found.notes == () and found.unseen is None


def test_any_parts_will_do(judged):
    draw(Path("new/test"), 2, seed=1)
    assert (judged("new").split, len(judged("new").examples)) == ("test", 6)
    draw(Path("new/val"), 3, seed=2)
    assert len(judged("new").examples) == 6
    assert len(judged("new", "validation").examples) == 9
    assert len(judged("new", "all").examples) == 15
    with pytest.raises(UserError, match="has no train split; it has validation, test, or give all"):
        judged("new", "train")
    shutil.rmtree("new/test")
    assert (judged("new").split, len(judged("new").examples)) == ("all", 9)


def test_classes_are_matched_by_name_and_may_be_lacking(judged):
    draw(Path("new"), 2, seed=1, classes=("owl",))
    Path("new/dog").mkdir()
    assert judged("new").examples.labels.tolist() == [2, 2]
    draw(Path("new"), 2, seed=1, classes=("fox", "owls"))
    message = (
        r"folder:new has classes that the model does not know: 'fox', 'owls'.*: "
        "'cat', 'dog', 'owl'$"
    )
    with pytest.raises(UserError, match=message):
        judged("new")


def test_images_are_brought_to_the_models_shape_as_by_predict(trained, restored, judged):
    draw(Path("new"), 2, seed=1, size=(20, 12))
    draw(Path("new"), 2, seed=2, mode="L", classes=("cat", "owl"))
    found = judged("new")
    assert found.examples.images.shape == (10, 8, 8, 3)
    files = sorted(Path("new").glob("*/*.png"))
    names = [each.classes[0] for each in predict(restored, files)]
    right = np.mean([name == file.parent.name for name, file in zip(names, files, strict=True)])
    told = evaluate(trained[0] / "run", dataset="folder:new")
    assert told["examples"] == 10
    assert told["accuracy"] == pytest.approx(right)


def test_what_was_learnt_from_is_told_and_the_rest_is_given_apart(trained, restored, judged):
    top = draw(Path("new"), 5, seed=1)
    parts = RunFolder(trained[0] / "run").parts()
    assert judged(top).unseen is None
    for place, file in enumerate(sorted((trained[0] / "photos" / "dog").iterdir())):
        # Another kind of file with the same pixels.
        Image.open(file).save(top / "dog" / f"copy{place}.bmp")
    found = judged(top)
    held_out = int((parts.labels["test"] == 1).sum())
    assert (len(found.examples), len(found.unseen)) == (35, 15 + held_out)
    assert found.notes[-1].startswith(f"{20 - held_out} of these 35 images are in the training")
    told = evaluate(trained[0] / "run", dataset="folder:new")
    assert (told["examples"], told["unseen"]["examples"]) == (35, 15 + held_out)
    assert "cannot be checked" in judged(top, learnt=None).notes[-1]


def test_bad_files_are_all_named_and_left_out_on_request(judged):
    top = draw(Path("new"), 3, seed=1)
    for name in ("a.png", "b.png"):
        (top / "cat" / name).write_text("words")
    with pytest.raises(UserError, match=r"(?s)has 2 image files .*a\.png.*b\.png.*--skip-bad"):
        judged(top)
    found = judged(top, skip_bad=True)
    assert len(found.examples) == 9 and found.notes[0].startswith("left out 2 image files")


def test_names_are_taken_as_by_every_command(judged):
    with pytest.raises(UserError, match="digits has classes that the model does not know: '0', "):
        judged("digits", folder=False)
    with pytest.raises(UserError, match=r"a folder is named folder:\./photos"):
        judged("./photos", folder=False)
    with pytest.raises(UserError, match="there is no such folder"):
        judged("nothere")


def test_images_in_no_files_are_brought_to_the_models_shape(restored):
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
    found = in_shape(images, view_of(restored))
    assert found.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(found[..., :1], resize(images, 8))
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
