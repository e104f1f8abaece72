"""What the default recipe of boxes makes of the facts of a set."""

import pytest
from drawn_objects import IMAGES, coco, voc, yolo

from cnn_jax import Augment, epochs
from cnn_jax.defaults.box_recipe import BoxFacts, box_facts, choose_for_boxes
from cnn_jax.recipe import Data

FACTS = BoxFacts(300, 3, 1500, 0.1, 0.5, 0.2)


def chosen(facts=FACTS, weights=None, **data):
    return choose_for_boxes("detection", "mine", Data("voc:mine", **data), facts, weights)


@pytest.mark.parametrize(("form", "write"), [("voc", voc), ("coco", coco), ("yolo", yolo)])
def test_facts_are_told_by_the_files(form, write, tmp_path):
    found = box_facts(Data(f"{form}:{write(tmp_path)}"))
    assert (found.examples, found.classes, found.boxes) == (len(IMAGES), 2, 8)
    assert found.largest == found.smallest == 0.5
    assert 0.1 < found.small < 0.5


def test_photographs_are_learnt_from_imagenets_weights():
    recipe, why = chosen()
    assert recipe.model.name == "fcos" and recipe.init.body and recipe.init.source == "imagenet"
    assert recipe.data.image_size == 320 and recipe.duration == epochs(30)
    assert recipe.augment.mosaic == 0.5 and recipe.batch_size == 8
    assert why.startswith(
        "default recipe for 300 pictures with 1,500 boxes of 3 classes: fcos over"
    )
    assert "small" not in why and "uneven" not in why


def test_small_objects_are_seen_larger_and_it_is_said():
    recipe, why = chosen(FACTS._replace(small=0.03, smallest=0.05))
    assert recipe.data.image_size == 416 and recipe.duration == epochs(18)
    assert "Objects are small: a tenth is below 3.0% of the image's side" in why
    assert "5.0% of the rarest" in why
    assert chosen(FACTS._replace(small=0.03), image_size=256).recipe.data.image_size == 256


def test_without_weights_it_begins_at_random_and_takes_longer():
    recipe, why = chosen(weights=False)
    assert recipe.init.source is None and recipe.model.options["body"] == "resnet18"
    assert recipe.duration == epochs(90) and recipe.optimizer.factors == ()
    assert "from random weights" in why and recipe.augment != Augment()
    assert chosen(FACTS._replace(examples=12)).recipe.batch_size == 4
