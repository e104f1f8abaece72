"""What the default recipe of masks makes of the facts of a set, and of flags."""

import numpy as np
import pytest
from PIL import Image

from cnn_jax import Data
from cnn_jax.commands.train import default_launch
from cnn_jax.defaults.mask_recipe import MaskFacts, choose_for_masks, mask_facts

FACTS = MaskFacts(600, 1200, 1600, True, 3)


def chosen(facts=FACTS, weights=None):
    return choose_for_masks("segmentation", "mine", Data("masks:mine"), facts, weights)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eighteen images of 24 and 32 pixels a side, in colour, in a folder for training."""
    top = tmp_path_factory.mktemp("discs")
    for place in range(18):
        size = ((24, 32), (32, 24), (24, 24))[place % 3]
        for name, shape in (("train", (*size, 3)), ("trainannot", size)):
            (top / name).mkdir(exist_ok=True)
            Image.fromarray(np.zeros(shape, np.uint8)).save(top / name / f"{place}.png")
    return top


def test_facts_are_told_by_the_files(folder):
    assert mask_facts(Data(f"masks:{folder}")) == (18, 24, 24, False, 3)


def test_photographs_are_learnt_from_imagenets_weights():
    recipe, why = chosen()
    assert recipe.model.name == "unet_on_body" and recipe.init.body
    assert recipe.model.options["body"] == "efficientnet_lite0"
    assert recipe.init.source == "imagenet" and recipe.optimizer.factors == ("^body/=0.2",)
    assert (recipe.data.image_size, recipe.augment.crop_size) == (320, (192, 192))
    assert "unet_on_body over efficientnet_lite0 from ImageNet's weights" in why
    assert "at about 240x320 pixels" in why
    assert chosen(FACTS._replace(height=180, width=240)).recipe.data.image_size is None


@pytest.mark.parametrize("facts", [{"channels": 1}, {"height": 40, "width": 60}])
def test_grey_and_tiny_images_are_learnt_at_random(facts):
    recipe, why = chosen(FACTS._replace(**facts))
    assert (recipe.model.name, recipe.init.source, recipe.init.body) == ("unet", None, False)
    assert recipe.augment.saturation == 0.3 * (FACTS._replace(**facts).channels == 3)
    assert "ImageNet's weights are for photographs in colour" in why
    assert chosen(FACTS._replace(**facts), weights=True).recipe.init.source == "imagenet"


def test_the_size_and_number_of_images_make_parts_and_batches():
    small = chosen(MaskFacts(18, 24, 24, False, 3)).recipe
    assert small.data.image_size == 24 and small.augment.crop_size == (32, 32)
    assert small.model.options["patch"] == 1
    assert chosen(weights=False).recipe.model.options["patch"] == 2
    assert [chosen(FACTS._replace(examples=n)).recipe.batch_size for n in (6, 12, 600)] == [2, 4, 4]


@pytest.mark.parametrize(
    ("words", "model", "source"),
    [
        ((), "unet_on_body", "imagenet"),
        (("--init-from", "none"), "unet", None),
        (("--model.name", "unet"), "unet", None),
        (("--model.name", "fcn"), "fcn", None),
        (("--model.name", "fcn", "--model.options", "body=efficientnet_lite0"), "fcn", "imagenet"),
    ],
)
def test_a_model_without_published_weights_begins_at_random(words, model, source, folder):
    for image in (folder / "train").iterdir():
        Image.new("RGB", (64, 64)).save(image)
    launch, _ = default_launch("segmentation", ["--data.name", f"masks:{folder}", *words])
    assert (launch.recipe.model.name, launch.recipe.init.source) == (model, source)
    assert launch.recipe.init.body == (source is not None)
