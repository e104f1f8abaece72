"""A run on digits, and models of other kinds that have learnt nothing, which is enough here."""

import jax
import numpy as np
import pytest
from drawn_objects import IMAGES, voc
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits
from sound_sets import folder_of_classes

from cnn_jax import Augment, Data, Loss, Model, Series, Sound, Task, epochs, train
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.restored import Restored, restore
from cnn_jax.serve.told import Teller
from cnn_jax.tasks import resolved, target_kind
from cnn_jax.training.recipe_functions import abstract_state


@pytest.fixture(scope="session")
def run(tiny, changed, tmp_path_factory):
    """A run folder of a small net on the digits of scikit-learn."""
    folder = tmp_path_factory.mktemp("serve") / "run"
    recipe = changed(tiny, {"duration": epochs(1), "ema": None})
    train(recipe, folder, console=Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def restored(run):
    return restore(run)


@pytest.fixture(scope="session")
def teller(restored):
    return Teller(restored, 5)


@pytest.fixture(scope="session")
def digit(tmp_path_factory):
    """A file of a digit."""
    file = tmp_path_factory.mktemp("digit") / "dïgit 3.png"
    Image.fromarray((load_digits().images[3] * 15.9).astype(np.uint8)).save(file)
    return file


def unlearnt(recipe):
    """The model of a recipe with random parameters, which no program has made."""
    recipe = resolved(recipe)
    spec = data_spec(load_data(recipe.data, kind=target_kind(recipe)))
    mesh, random = make_mesh(), np.random.default_rng(0)

    def filled(path, leaf):
        values = random.normal(0, 0.3, leaf.shape).astype(leaf.dtype)
        return np.abs(values) + 0.5 if "var" in jax.tree_util.keystr(path) else values

    state = abstract_state(recipe, spec, mesh)
    variables = jax.tree_util.tree_map_with_path(filled, state.evaluated)
    return Restored(recipe, spec, 0, variables, mesh)


@pytest.fixture(scope="session")
def of_masks(tiny, changed, tmp_path_factory):
    """A model that tells the class of each pixel."""
    top, random = tmp_path_factory.mktemp("masks"), np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for place in range(2):
            pixels = random.integers(0, 256, (12, 16, 3), np.uint8)
            mask = (pixels[..., 0] > 120).astype(np.uint8)
            for folder, values in ((part, pixels), (f"{part}annot", mask)):
                (top / folder).mkdir(exist_ok=True)
                Image.fromarray(values).save(top / folder / f"{place}.png")
    (top / "classes.txt").write_text("dark\nred\n")
    fields = {
        "data": Data(f"masks:{top}", image_size=16),
        "task": Task("segmentation"),
        "augment": Augment(),
        "loss": Loss("cross_entropy"),
        "model": Model("unet", options={"width": 4, "depth": 1}),
        "batch_size": 2,
        "ema": None,
    }
    return unlearnt(changed(tiny, fields))


@pytest.fixture(scope="session")
def of_boxes(tiny, changed, tmp_path_factory):
    """A detector."""
    images = {f"{name}{turn}": each for turn in range(2) for name, each in IMAGES.items()}
    top = voc(tmp_path_factory.mktemp("boxes"), images)
    options = {
        "body": "simple_cnn",
        "body_options": {"widths": (4, 8)},
        "at": (4,),
        "extra_levels": 0,
        "channels": 8,
        "head_depth": 1,
        "head_norm": "none",
        "detections": 8,
        "candidates": 20,
        "score": 0.0,
    }
    fields = {
        "data": Data(f"voc:{top}", image_size=32, validation=2, test=2),
        "task": Task("detection"),
        "augment": Augment(),
        "model": Model("fcos", options=options),
        "batch_size": 2,
        "ema": None,
    }
    return unlearnt(changed(tiny, fields))


@pytest.fixture(scope="session")
def of_texts(tiny, changed, tmp_path_factory):
    """A model of texts, of which one may have eight words."""
    file = tmp_path_factory.mktemp("texts") / "films.tsv"
    told = (("bad", "awful"), ("good", "great"))
    rows = [f"{told[i % 2][0]}\tthe plot of part {i} is {told[i % 2][1]}" for i in range(20)]
    file.write_text("label\ttext\n" + "\n".join(rows))
    options = {"embedding": 4, "maps": 3, "windows": (2, 3)}
    fields = {
        "data": Data(f"text:{file}", validation=4),
        "augment": Augment(),
        "model": Model("text_cnn", options=options),
        "batch_size": 4,
        "ema": None,
    }
    return unlearnt(changed(tiny, fields))


@pytest.fixture(scope="session")
def of_series(tiny, changed, tmp_path_factory):
    """A model of series of up to ten times."""
    file, random = tmp_path_factory.mktemp("series") / "Toy_TRAIN.tsv", np.random.default_rng(0)
    lines = [f"{('up', 'down')[i % 2]}\t" + "\t".join(map(str, random.normal(0, 1, 10).round(3)))
             for i in range(12)]  # fmt: skip
    file.write_text("\n".join(lines))
    file.with_name("Toy_TEST.tsv").write_text("\n".join(lines[:4]))
    fields = {
        "data": Data(f"series:{file.parent}/Toy", validation=4),
        "augment": Augment(),
        "series": Series(),
        "model": Model("fcn1d", options={"widths": (4, 4), "kernels": (4, 3)}),
        "batch_size": 4,
        "ema": None,
    }
    return unlearnt(changed(tiny, fields))


@pytest.fixture(scope="session")
def of_sounds(tiny, changed, tmp_path_factory):
    """A model of sounds, in windows of 0.3 s."""
    folder = folder_of_classes(tmp_path_factory.mktemp("sounds"), 4)
    fields = {
        "data": Data(f"sound:{folder}", validation=2, test=2),
        "sound": Sound(window=0.3, fft=64, hop=64, bands=12),
        "augment": Augment(),
        "model": Model("logmel_cnn", options={"widths": (4,)}),
        "batch_size": 4,
        "ema": None,
    }
    return unlearnt(changed(tiny, fields))
