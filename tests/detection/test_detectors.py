"""RetinaNet, FCOS and Faster R-CNN against torchvision's, and what holds of every detector."""

import dataclasses
import functools
import json
import math
import re
from pathlib import Path

import drawn
import family_checks
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import CLASSES, HEIGHT, WIDTH, images, summary, tensor, truth
from flax import traverse_util

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models.cost import shapes
from cnn_jax.optimisation.frozen import frozen_norms
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.names import import_weights, place
from cnn_jax.pretrained.naming import best_naming, namings
from cnn_jax.pretrained.patterns import NameTable

FOLDER = Path(drawn.__file__).parent
SIZE = (HEIGHT, WIDTH)
# As the nets of `from_torchvision/make.py`.
SMALL = {"body": "resnet18", "body_options": {"depths": (1, 1, 1, 1)}, "channels": 32}
NETS = {
    "retinanet": SMALL,
    "fcos": SMALL,
    "faster_rcnn": SMALL
    | {
        "proposals": 60,
        "training_proposals": 60,
        "proposal_samples": 8000,
        "samples": 80,
        "share": 1.0,
    },
}
SLOW = pytest.mark.slow
REFERENCES = np.load(FOLDER / "nets.npz")
RAW = {
    "retinanet": ("classes", "boxes"),
    "fcos": ("classes", "boxes", "centres"),
    "faster_rcnn": ("objectness", "deltas"),
}


@functools.cache
def variables_of(name, classes):
    """Shapes of a whole detector."""
    # Or parts of a body that were seen in another net would be passed over, with their points.
    family_checks._layers_seen.clear()
    return family_checks.quick_shapes(models.create(name, classes), (128, 128, 3))


def quick(*names, every=tuple(NETS)):
    """Parameters of a test that is slow for all but some."""
    marks = {name: [] if name in names else [pytest.mark.slow] for name in every}
    return [pytest.param(name, marks=each) for name, each in marks.items()]


def counted(name, classes, *, frozen):
    """Parameters of a detector, all or those that are trained."""
    module = models.create(name, classes, frozen_norm=frozen)
    flat = traverse_util.flatten_dict(variables_of(name, classes)["params"], sep="/")
    left = [v for k, v in flat.items() if not frozen or not re.search(module.frozen, k)]
    return sum(math.prod(each.shape) for each in left)


@pytest.mark.parametrize(
    ("name", "classes", "frozen", "count"),
    [
        ("retinanet_resnet50_fpn", 91, True, 34_014_999),
        pytest.param("retinanet_resnet50_fpn", 4, True, 32_210_184, marks=SLOW),
        pytest.param("retinanet_resnet50_fpn_v2", 91, False, 38_198_935, marks=SLOW),
        ("fcos_resnet50_fpn", 91, True, 32_269_600),
        pytest.param("fcos_resnet50_fpn", 4, True, 32_069_065, marks=SLOW),
        ("fasterrcnn_resnet50_fpn", 90, True, 41_755_286),
        ("fasterrcnn_resnet50_fpn", 90, False, 41_808_406),
        ("fasterrcnn_resnet50_fpn", 3, True, 41_309_411),
        pytest.param("fasterrcnn_resnet50_fpn_v2", 90, False, 43_712_278, marks=SLOW),
        ("fasterrcnn_mobilenet_v3_large_fpn", 90, True, 19_386_354),
    ],
)
def test_counts_are_those_of_torchvision(name, classes, frozen, count):
    assert counted(name, classes, frozen=frozen) == count


WHOLE = {
    "retinanet_resnet50_fpn", "fcos_resnet50_fpn", "fasterrcnn_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
}  # fmt: skip


@pytest.mark.parametrize("name", quick(*WHOLE, every=np.load(FOLDER / "names.npz")))
def test_every_tensor_of_torchvision_has_its_place(name):
    wanted = paths(variables_of(name, 90 if name.startswith("faster") else 91))
    theirs = json.loads(str(np.load(FOLDER / "names.npz")[name]))
    naming = best_naming(name, theirs, wanted, name)
    table = NameTable(naming.names)
    found = {key: place(key, table, wanted) for key in theirs}
    assert None not in found.values(), [key for key, path in found.items() if path is None][:5]
    assert sorted(found.values()) == sorted(wanted)
    for key, path in found.items():
        assert math.prod(theirs[key]) == math.prod(wanted[path].shape), key


def test_older_files_of_torchvision_name_some_parts_otherwise():
    rows = {name: NameTable(namings(name)[0].names) for name in NETS}
    for name in NETS:
        assert rows[name].ours("backbone.fpn.inner_blocks.2") == "fpn/inner2/conv"
    assert rows["faster_rcnn"].ours("rpn.head.conv") == "proposal_head/conv0/conv"
    tower = "head.classification_head.conv"
    assert rows["retinanet"].ours(f"{tower}.4") == "class_head/conv2/conv"
    assert rows["retinanet"].theirs("class_head/conv2/conv") == f"{tower}.2.0"


_THEIRS = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@functools.cache
def given(name):
    """A small detector with the weights that torchvision's was given, and its outputs."""
    module = models.create(name, CLASSES, **NETS[name])
    template = shapes(module, (HEIGHT, WIDTH, 3))
    wanted = paths(template)
    naming = namings(name)[0]
    table = NameTable(naming.names)
    tensors = {}
    for path, leaf in wanted.items():
        module_path, _, leaf_name = path.partition("/")[2].rpartition("/")
        names = {
            "kernel": "weight",
            "scale": "weight",
            "mean": "running_mean",
            "var": "running_var",
        }
        key = f"{table.theirs(module_path)}.{names.get(leaf_name, leaf_name)}"
        shape = leaf.shape
        if leaf_name == "kernel":
            shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
        tensors[key] = tensor(key, shape)
    side = {"box_head/dense0": (32, 7, 7)} if "box_head/dense0" in str(naming.names) else {}
    variables, report = import_weights(tensors, template, naming.names, side, source=name)
    assert report.loaded == len(wanted)
    apply = jax.jit(module.apply)
    return module, variables, apply(variables, images())


def learnt(name):
    """What a small detector puts out in training with its normalisations as they are."""
    module, variables, outputs = given(name)
    if name != "faster_rcnn":
        return module, outputs
    still = module.clone(frozen_norm=True)
    apply = jax.jit(
        lambda v, x, t: still.apply(
            v, {"image": x, "truth": t}, train=True, rngs={"dropout": jax.random.key(0)}
        )
    )
    with frozen_norms(still.frozen):
        return module, apply(variables, images(), truth())


@pytest.mark.parametrize("name", quick("fcos"))
def test_outputs_losses_and_detections_are_those_of_torchvision(name):
    module, _, outputs = given(name)
    for ours, theirs in zip(RAW[name], REFERENCES[f"{name}_outputs"], strict=True):
        axis = 1 if name != "faster_rcnn" else 0
        flat = [np.asarray(each).reshape(2, -1) for each in outputs[ours]]
        found = np.concatenate(flat, axis=1) if axis else np.concatenate([f.ravel() for f in flat])
        if ours == "boxes" and name == "fcos":
            found = found.reshape(2, -1)
        np.testing.assert_allclose(summary(found), theirs, atol=2e-4 * np.abs(theirs).max())

    net, trained = learnt(name)
    parts = jax.jit(functools.partial(net.losses, size=SIZE))(
        trained, truth(), key=jax.random.key(0)
    )
    assert parts.keys() == set(net.PARTS)
    found = np.stack([parts[part] for part in net.PARTS], axis=1)
    np.testing.assert_allclose(found, REFERENCES[f"{name}_losses"], rtol=2e-4)

    if name == "faster_rcnn":
        wanted = REFERENCES["faster_rcnn_proposals"]
        boxes = np.asarray(outputs["boxes"])[:, : wanted.shape[1]]
        np.testing.assert_allclose(boxes, wanted, atol=1e-2)
    boxes, scores, classes, there = jax.jit(functools.partial(module.decode, size=SIZE))(outputs)
    wanted = REFERENCES[f"{name}_detections"]
    count = wanted.shape[1]
    assert there[:, :count].all()
    np.testing.assert_allclose(scores[:, :count], wanted[..., 4], rtol=1e-3)
    np.testing.assert_allclose(boxes[:, :count], wanted[..., :4], atol=0.05)
    labels = classes[:, :count] + (name == "faster_rcnn")
    np.testing.assert_array_equal(labels, wanted[..., 5])


@functools.cache
def drawn_outputs(name):
    """Outputs of a small detector in training, drawn at random and not computed."""
    module = models.create(name, CLASSES, **NETS[name])
    key = jax.eval_shape(lambda: jax.random.key(0))
    inputs = {"image": images(), "truth": truth()}
    shaped, _ = jax.eval_shape(
        lambda keys: module.init_with_output(keys, inputs, train=True),
        {"params": key, "dropout": key},
    )
    random = np.random.default_rng(0)

    def value(path, leaf):
        last = path[0].key
        if leaf.dtype == bool:
            return np.ones(leaf.shape, bool)
        if leaf.dtype == np.int32:
            return random.integers(-1, CLASSES, leaf.shape).astype(np.int32)
        if last in ("truth", "boxes") and name == "faster_rcnn":
            low = random.uniform(0, 60, (*leaf.shape[:2], 2))
            return np.float32(np.concatenate([low, low + random.uniform(5, 30, low.shape)], -1))
        return random.normal(0, 1, leaf.shape).astype(np.float32)

    return module, jax.tree_util.tree_map_with_path(value, shaped)


def padded(order=(0, 1, 2), value=0.0):
    """The truth, its boxes in another order, and two places more."""
    boxes, classes, there = (each[:, np.array(order)] for each in truth().values())
    return {
        "boxes": np.pad(boxes, ((0, 0), (0, 2), (0, 0)), constant_values=value),
        "classes": np.pad(classes, ((0, 0), (0, 2))),
        "there": np.pad(there, ((0, 0), (0, 2))),
    }


@functools.cache
def losses_of(name):
    """Maps (outputs, truth) to the losses of a small detector and their gradient."""
    module, _ = drawn_outputs(name)

    def total(outputs, truth):
        parts = module.losses(outputs, truth, SIZE, jax.random.key(1))
        return sum(map(jnp.sum, parts.values())), parts

    compiled = jax.jit(jax.grad(total, has_aux=True, allow_int=True))
    return lambda outputs, truth: jax.device_get(compiled(outputs, truth))


@pytest.mark.parametrize("name", quick("faster_rcnn"))
def test_losses_of_nothing_and_of_boxes_without_area_are_finite(name):
    _, outputs = drawn_outputs(name)
    flat = np.float32([[9, 9, 9, 50], [50, 50, 20, 20], [0, 0, 0, 0], [4, 4, 4, 4], [9, 9, 0, 20]])
    everything = {**padded(), "boxes": np.stack([flat, flat]), "there": np.ones((2, 5), bool)}
    nothing = {**padded(), "there": np.zeros((2, 5), bool)}
    for wanted in (padded(), nothing, everything):
        gradient, parts = losses_of(name)(outputs, wanted)
        assert all(np.isfinite(part).all() for part in parts.values())
        leaves = [leaf for leaf in jax.tree.leaves(gradient) if leaf.dtype == np.float32]
        assert leaves and all(np.isfinite(leaf).all() for leaf in leaves)
    assert parts["class_loss"].min() > 0


@pytest.mark.parametrize("name", quick("fcos", "faster_rcnn"))
def test_losses_do_not_change_with_padding_nor_with_the_rest_of_the_batch(name):
    module, outputs = drawn_outputs(name)
    _, both = losses_of(name)(outputs, padded())
    _, others = losses_of(name)(outputs, padded((2, 0, 1), value=7.0))
    twice = jax.tree.map(lambda leaf: np.stack([leaf[0], leaf[0]]), (outputs, padded()))
    _, alone = losses_of(name)(*twice)
    for part in module.PARTS:
        np.testing.assert_allclose(others[part], both[part], rtol=1e-5)
        np.testing.assert_allclose(alone[part][0], both[part][0], rtol=1e-5)


@pytest.mark.parametrize("name", quick())
def test_a_training_step_and_decoding_lower_for_accelerators(name):
    module = models.create(name, CLASSES, **NETS[name])
    variables = shapes(module, (HEIGHT, WIDTH, 3))
    x = jax.ShapeDtypeStruct((2, HEIGHT, WIDTH, 3), jnp.float32)
    wanted = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, truth()))

    def step(variables, x, wanted, seed):
        key = jax.random.key(seed)

        def loss(params):
            outputs, _ = module.apply(
                {**variables, "params": params},
                {"image": x, "truth": wanted},
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return sum(map(jnp.sum, module.losses(outputs, wanted, SIZE, key).values()))

        return jax.grad(loss)(variables["params"])

    def found(variables, x):
        return module.decode(module.apply(variables, x), SIZE)

    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    for function, arguments in ((step, (variables, x, wanted, seed)), (found, (variables, x))):
        program = jax.export.export(jax.jit(function), platforms=["cuda", "tpu"])(*arguments)
        text = program.mlir_module()
        assert "callback" not in text and "tensor<?" not in text


def test_faster_rcnn_asks_for_the_truth_in_training():
    module = models.create("faster_rcnn", CLASSES, **NETS["faster_rcnn"])
    key = jax.eval_shape(lambda: jax.random.key(0))
    keys = {"params": key, "dropout": key}
    with pytest.raises(UserError, match="trained with the truth beside the images"):
        jax.eval_shape(lambda keys: module.init(keys, images(), train=True), keys)
    outputs = jax.eval_shape(lambda keys: module.init_with_output(keys, images())[0], keys)
    with pytest.raises(ValueError, match="an application in training"):
        module.losses(outputs, truth(), SIZE, jax.random.key(0))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("overlap", 1.5, "overlap=1.5 of RetinaNet: must be from 0 to 1"),
        ("channels", 0, "channels=0 of RetinaNet: must be above zero"),
    ],
)
def test_a_wrong_option_is_named(option, value, message):
    with pytest.raises(UserError, match=message):
        models.create("retinanet", 3, **{option: value})


def test_a_body_without_the_maps_says_which_it_has():
    module = models.create("retinanet", 3, body="lenet5_relu")
    with pytest.raises(UserError, match="lenet5_relu"):
        shapes(module, (64, 64, 3))


def test_detectors_are_entries_of_their_own_kind():
    named = models.names("image", "boxes")
    assert {"retinanet", "fcos", "faster_rcnn"} <= set(named)
    assert all(dataclasses.is_dataclass(models.entry(name).module) for name in named)


def test_softplus_leaves_a_distance_that_can_be_learnt_where_relu_has_none():
    names = {"relu": 0.0, "softplus": math.log1p(math.exp(-3))}
    for distance, expected in names.items():
        body = {"body": "simple_cnn", "body_options": {"widths": (4, 8, 8)}, "at": (4, 8)}
        options = {**body, "extra_levels": 0, "channels": 4, "head_depth": 1, "head_norm": "none"}
        module = models.create("fcos", 2, **options, distance=distance)
        empty = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, leaf.dtype),
            family_checks.quick_shapes(module, (32, 32, 3)),
        )
        empty["params"]["box_head"]["distances"]["bias"] = np.full((4,), -3.0, np.float32)
        found = jax.jit(module.apply)(empty, np.zeros((1, 32, 32, 3), np.float32))["boxes"]
        assert all(np.allclose(level, expected, atol=1e-6) for level in found)
