import dataclasses
import json

import pytest

from cnn_jax import Augment, Model, Preprocess, Recipe, Schedule, UserError, percent
from cnn_jax.json_values import differences, from_json, read_json, to_json, write_json


def test_a_recipe_survives_json():
    recipe = Recipe(
        name="x",
        preprocess=Preprocess(size=32, mean=(0.5, 0.4, 0.3)),
        augment=Augment(rand_augment=2, rand_ranges="timm", erase=0.5, erase_area=(0.1, 0.2)),
        model=Model("simple_cnn", options={"widths": (32, 64), "norm": "batch", "dropout": 0.5}),
        schedule=Schedule("step", boundaries=(percent(40), percent(80))),
        ema=0.99,
    )
    text = json.dumps(to_json(recipe))
    assert from_json(json.loads(text), Recipe, "here") == recipe


def test_an_unknown_field_is_named():
    data = to_json(Recipe(name="x"))
    data["optimizer"]["momentun"] = 0.9
    with pytest.raises(UserError, match=r"recipe\.json .*momentun"):
        from_json(data, Recipe, "recipe.json")


def test_differences_name_the_fields():
    old, new = Recipe(name="x"), Recipe(name="x", seed=3)
    new = dataclasses.replace(new, model=Model("simple_cnn"))
    assert differences(to_json(old), to_json(new)) == [
        'model.name: "lenet5_relu" stored, "simple_cnn" now',
        "seed: 0 stored, 3 now",
    ]
    assert differences(to_json(old), to_json(old)) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert read_json(file) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_no_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json is no JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"b\.json cannot be read: No such file"):
        read_json(tmp_path / "b.json")
