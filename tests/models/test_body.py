import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import activations, quick_shapes, variables_of
from flax import linen as nn
from flax import traverse_util

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models.body import Body, points

TINY = {"depths": (1, 1, 1, 1), "width": 8}
MOBILE = {
    "stages": (
        ((3, 16, 8, False, "relu", 2),),
        ((5, 16, 8, True, "relu", 2), (5, 16, 8, False, "relu", 2)),
    )
}


class Holder(nn.Module):
    """A body inside of another net."""

    model: str = "resnet18"
    at: tuple = (8, 16, 32)
    options: object = None
    output_stride: int | None = None

    @nn.compact
    def __call__(self, x, *, train=False):
        body = Body(self.model, self.at, self.options, self.output_stride, name="body")
        return body(x, train=train)


def shapes_of(holder, size=64):
    x = jax.ShapeDtypeStruct((2, *size, 3) if isinstance(size, tuple) else (2, size, size, 3), "f4")
    found, _ = jax.eval_shape(holder.init_with_output, jax.random.key(0), x)
    return [each.shape[1:] for each in found]


def paths(params):
    return {"/".join(path) for path in traverse_util.flatten_dict(params)}


def test_maps_are_those_of_the_net_and_its_head_is_left_out():
    module, variables, x = variables_of("resnet18", (33, 40, 3), **TINY)
    holder = Holder(at=(4, "stage2/block0", 32), options=TINY)
    names = ["stage1", "stage2/block0", "features"]
    expected = activations(module, variables, x, names)
    inner = quick_shapes(holder, (33, 40, 3))
    assert paths(inner["params"]["body"]) == {
        path for path in paths(variables["params"]) if not path.startswith("head")
    }
    given = {
        kind: {"body": {k: v for k, v in tree.items() if k != "head"}}
        for kind, tree in variables.items()
    }
    found = jax.jit(holder.apply)(given, x)
    for ours, name in zip(found, names, strict=True):
        np.testing.assert_allclose(ours, expected[name], rtol=1e-4, atol=1e-4)
    trained, changed = jax.eval_shape(
        lambda: holder.apply(given, x, train=True, mutable=["batch_stats"])
    )
    assert [each.shape for each in trained] == [each.shape for each in found]
    assert jax.tree.structure(changed["batch_stats"]) == jax.tree.structure(given["batch_stats"])


def test_what_follows_the_last_of_the_maps_has_no_parameters():
    inner = quick_shapes(Holder(at=(8,), options=TINY), (64, 64, 3))["params"]["body"]
    assert set(inner) == {"stem", "stage1", "stage2"}


@pytest.mark.parametrize(
    ("name", "options", "strides"),
    [
        ("resnet18", TINY, (2, 4, 8, 16, 32)),
        ("resnet20", {"depths": (1, 1, 1), "width": 8}, (1, 2, 4)),
        ("vgg11", {"widths": (8,) * 5}, (1, 2, 4, 8, 16, 32)),
        ("mobilenet_v3_large", MOBILE, (2, 4, 16)),
        ("densenet121", {"depths": (1, 1, 1, 1), "growth": 4}, (2, 4, 8, 16, 32)),
        ("squeezenet1_1", {"fires": ((8, 8), (8, 8)), "pools": (1, 2)}, (2, 4, 8)),
        ("convnext_tiny", {"depths": (1, 1), "widths": (8, 16)}, (4, 8)),
        ("alexnet", {"widths": (8,) * 5}, (4, 8, 16, 32)),
        ("simple_cnn", {}, (1, 2, 4)),
    ],
)
def test_points_of_every_stride(name, options, strides):
    found = points(name, options)
    assert tuple(sorted(found)) == strides
    at = tuple(sorted(found)[-2:])
    maps = shapes_of(Holder(name, at, options), (128, 192))
    for stride, (h, w, _) in zip(at, maps, strict=True):
        assert abs(h - 128 / stride) <= 2 and abs(w - 192 / stride) <= 2


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_dilated_net_computes_what_the_net_does_at_more_places(block):
    options = TINY | {"block": block, "depths": (1, 2, 2)}
    module, variables, x = variables_of("resnet18", (21, 32, 3), **options)
    dilated = models.create("resnet18", 3, output_stride=4, **options)
    names = ["stage2", "features"]
    plain = activations(module, variables, x, names)
    found = activations(dilated, variables, x, names)
    assert found["features"].shape[1:3] == (6, 8)
    scale = jnp.abs(plain["features"]).max()
    for name, step in (("stage2", 2), ("features", 4)):
        np.testing.assert_allclose(
            found[name][:, ::step, ::step] / scale, plain[name] / scale, atol=1e-5
        )


def test_maps_of_mobilenet_stay_larger_with_the_same_variables():
    assert shapes_of(Holder("mobilenet_v3_large", ("features",), MOBILE, 8)) == [(8, 8, 48)]
    plain, dilated = (
        quick_shapes(
            models.create("mobilenet_v3_large", 3, output_stride=stride, **MOBILE), (9, 9, 3)
        )
        for stride in (None, 8)
    )
    assert plain == dilated


@pytest.mark.parametrize(
    ("holder", "message"),
    [
        (Holder("resnet20", (8,)), "resnet20 has no maps of stride 8, but of 1, 2, 4"),
        (
            Holder("resnet20", ("stage1",), output_stride=8),
            "resnet20 has no dilated form; leave it out",
        ),
        (Holder("text_cnn"), "text_cnn cannot be a body: it is no net that classifies images"),
        (Holder("resnet8"), "unknown model 'resnet8'; did you mean"),
        (Holder(options={"widht": 8}), "unknown option of model 'resnet18': 'widht'"),
        (Holder(at=("stage5",), options=TINY), "unknown point of the body resnet18: 'stage5'"),
        (Holder(options=TINY, output_stride=6), "output_stride=6 of ResNet: must be a power"),
        (Holder(options=TINY, output_stride=2), "at least 4, such as 8 or 16"),
    ],
)
def test_what_cannot_be_is_refused(holder, message):
    with pytest.raises(UserError, match=message):
        shapes_of(holder)


def test_bfloat16_goes_into_the_body():
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    body = Body("resnet18", (32,), TINY, dtype="bfloat16")
    found, _ = jax.eval_shape(body.init_with_output, jax.random.key(0), x)
    assert found[0].dtype == jnp.bfloat16
