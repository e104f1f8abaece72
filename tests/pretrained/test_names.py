import jax
import numpy as np
import pytest
import toy

from cnn_jax.errors import UserError
from cnn_jax.pretrained.names import export_weights, import_weights


def imported(tensors, template=None, **options):
    template = toy.initial() if template is None else template
    options = {"flattened": toy.TORCH_FLATTENED, **options}
    return import_weights(tensors, template, toy.TORCH_NAMES, **options)


def test_forward_of_imported_weights_is_that_of_the_reference():
    weights = toy.state_dict()
    variables, report = imported(weights)
    images = np.random.default_rng(1).normal(size=(3, 3, 6, 6)).astype(np.float32)
    logits = toy.Toy(4).apply(variables, images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(logits, toy.forward(weights, images), rtol=1e-4, atol=1e-5)
    assert report.loaded == 14
    assert not report.new
    assert str(report) == "14 arrays loaded"


def test_every_array_has_its_place():
    weights = toy.state_dict()
    variables, _ = imported(weights)
    params, statistics = variables["params"], variables["batch_stats"]
    assert params["conv"]["kernel"][2, 1, 0, 3] == weights["stem.0.weight"][3, 0, 2, 1]
    assert params["grouped"]["kernel"][2, 0, 1, 5] == weights["blocks.0.grouped.weight"][5, 1, 2, 0]
    assert params["head"]["kernel"][4, 1] == weights["classifier.3.weight"][1, 4]
    # Of maps (c, h, w) = (6, 3, 3) the pixel (2, 1) of map 4, in PyTorch's order and ours.
    place, ours = 4 * 9 + 2 * 3 + 1, (2 * 3 + 1) * 6 + 4
    assert params["hidden"]["kernel"][ours, 3] == weights["classifier.1.weight"][3, place]
    np.testing.assert_array_equal(params["norm"]["scale"], weights["stem.1.weight"])
    np.testing.assert_array_equal(params["norm"]["bias"], weights["stem.1.bias"])
    np.testing.assert_array_equal(params["gamma"], weights["blocks.0.layer_scale"])
    np.testing.assert_array_equal(statistics["norm"]["mean"], weights["stem.1.running_mean"])
    np.testing.assert_array_equal(statistics["norm"]["var"], weights["stem.1.running_var"])


def test_result_has_the_structure_and_types_of_the_template():
    template = toy.initial()
    variables, _ = imported({k: v.astype(np.float64) for k, v in toy.state_dict().items()})
    assert jax.tree.structure(variables) == jax.tree.structure(template)
    same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), variables, template)
    assert all(jax.tree.leaves(same))
    without, _ = import_weights(
        {"fc.weight": np.ones((2, 3))},
        {"params": {"head": {"kernel": np.zeros((3, 2), np.float32)}}, "batch_stats": {}},
        [("fc", "head")],
    )
    assert without["batch_stats"] == {}


def test_template_may_be_of_shapes_only():
    shapes = jax.eval_shape(toy.initial)
    variables, _ = imported(toy.state_dict(), shapes)
    assert jax.tree.all(jax.tree.map(np.array_equal, variables, imported(toy.state_dict())[0]))


def test_export_is_the_exact_inverse():
    weights = toy.state_dict()
    variables, _ = imported(weights)
    exported = export_weights(variables, toy.TORCH_NAMES, toy.TORCH_FLATTENED)
    del weights["stem.1.num_batches_tracked"]
    assert exported.keys() == weights.keys()
    for name, array in weights.items():
        assert exported[name].dtype == np.float32
        assert exported[name].flags.c_contiguous
        np.testing.assert_array_equal(exported[name], array)
    again, _ = imported(exported)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, variables))


def test_lists_what_is_missing_unexpected_and_misshapen():
    weights = toy.state_dict()
    del weights["stem.1.running_var"], weights["classifier.3.bias"]
    weights["stem.0.bias"] = np.zeros(4)
    weights["layer9.weight"] = np.zeros(4)
    weights["blocks.0.grouped.weight"] = np.zeros((6, 2, 1, 3))
    with pytest.raises(UserError) as error:
        imported(weights, source="x.pth")
    assert str(error.value) == (
        "x.pth does not fit the model:\n"
        "  missing in it (2):\n"
        "    params/head/bias\n"
        "    batch_stats/norm/var\n"
        "  unknown to the model (2):\n"
        "    stem.0.bias\n"
        "    layer9.weight\n"
        "  of another shape (1):\n"
        "    params/grouped/kernel: (1, 3, 2, 6) in x.pth (blocks.0.grouped.weight), "
        "(3, 1, 2, 6) in the model"
    )


def test_shortens_long_lists():
    weights = toy.state_dict() | {f"more.{i}": np.zeros(1) for i in range(100)}
    with pytest.raises(UserError) as error:
        imported(weights)
    assert "unknown to the model (100)" in str(error.value)
    assert str(error.value).endswith("    more.11\n    and 88 more")


def test_a_head_of_other_classes_is_new_only_when_asked():
    template = toy.initial(num_classes=7)
    with pytest.raises(UserError, match="Only the head differs: it stays as initialised if"):
        imported(toy.state_dict(), template)
    variables, report = imported(toy.state_dict(), template, new_head=True)
    for leaf in ("kernel", "bias"):
        np.testing.assert_array_equal(
            variables["params"]["head"][leaf], template["params"]["head"][leaf]
        )
    assert set(report.new) == {"params/head/kernel", "params/head/bias"}
    assert report.loaded == 12
    assert "new: params/head/" in str(report)


def test_a_new_head_is_new_even_where_the_old_one_would_fit():
    template = toy.initial()
    variables, _ = imported(toy.state_dict(), template, new_head=True)
    kernel = template["params"]["head"]["kernel"]
    np.testing.assert_array_equal(variables["params"]["head"]["kernel"], kernel)


def test_a_new_head_needs_no_old_one():
    weights = toy.state_dict()
    del weights["classifier.3.weight"], weights["classifier.3.bias"]
    _, report = imported(weights, new_head=True)
    assert report.loaded == 12


def test_a_new_head_hides_nothing_else():
    weights = toy.state_dict()
    weights["classifier.1.weight"] = np.zeros((9, 54))
    with pytest.raises(UserError, match="hidden/kernel") as error:
        imported(weights, toy.initial(num_classes=7), new_head=True)
    assert "Only the head" not in str(error.value)


def test_a_new_head_needs_initial_values_and_a_head():
    with pytest.raises(TypeError, match="shapes only"):
        imported(toy.state_dict(), jax.eval_shape(toy.initial), new_head=True)
    with pytest.raises(UserError, match="no layer of the name head"):
        import_weights(
            {"fc.weight": np.ones((2, 3))},
            {"params": {"last": {"kernel": np.zeros((3, 2))}}},
            [("fc", "last")],
            new_head=True,
        )


def test_optional_names_need_no_place_but_take_one():
    weights = toy.state_dict() | {"aux.fc.weight": np.ones((2, 6)), "aux.fc.bias": np.ones(2)}
    with pytest.raises(UserError, match=r"unknown to the model \(2\)"):
        imported(weights)
    _, report = imported(weights, optional=toy.TORCH_OPTIONAL)
    assert report.left_out == ("aux.fc.weight", "aux.fc.bias")
    assert str(report).endswith("2 not needed: aux.fc.weight, aux.fc.bias")
    template = toy.initial(auxiliary=True)
    variables, report = imported(weights, template, optional=toy.TORCH_OPTIONAL)
    assert report.left_out == ()
    np.testing.assert_array_equal(variables["params"]["aux"]["kernel"], np.ones((6, 2)))
    with pytest.raises(UserError, match=r"missing in it \(2\)"):
        imported(toy.state_dict(), template, optional=toy.TORCH_OPTIONAL)


def test_two_names_of_one_place_are_an_error():
    weights = toy.state_dict()
    weights["classifier.head.bias"] = np.zeros(4)
    with pytest.raises(UserError, match=r"classifier.head.bias and classifier.3.bias .* are both"):
        imported(weights)


def test_a_1x1_convolution_may_be_a_dense_layer_on_the_other_side():
    template = {
        "params": {
            "dense": {"kernel": np.zeros((3, 2))},
            "conv": {"kernel": np.zeros((1, 1, 3, 2))},
            "scale": {"gamma": np.zeros(3)},
        }
    }
    kernel = np.arange(6.0).reshape(2, 3)
    variables, _ = import_weights(
        {
            "dense.weight": kernel.reshape(2, 3, 1, 1),
            "conv.weight": kernel,
            "scale.gamma": np.arange(3.0).reshape(3, 1, 1),
        },
        template,
        [("(dense|conv|scale)", r"\1")],
    )
    params = variables["params"]
    np.testing.assert_array_equal(params["dense"]["kernel"], kernel.T)
    np.testing.assert_array_equal(params["conv"]["kernel"][0, 0], kernel.T)
    np.testing.assert_array_equal(params["scale"]["gamma"], np.arange(3))


def test_export_gives_back_axes_of_one_element():
    weights = toy.state_dict()
    weights["blocks.0.layer_scale"] = weights["blocks.0.layer_scale"].reshape(6, 1, 1)
    variables, _ = imported(weights)
    exported = export_weights(
        variables, toy.TORCH_NAMES, toy.TORCH_FLATTENED, ones={r"blocks\.\d\.layer_scale": 2}
    )
    del weights["stem.1.num_batches_tracked"]
    for name, array in weights.items():
        np.testing.assert_array_equal(exported[name], array, strict=True)


def test_export_tells_what_the_table_lacks():
    variables, _ = imported(toy.state_dict())
    with pytest.raises(UserError, match="the table of names has none for params/grouped/bias"):
        export_weights(variables, toy.TORCH_NAMES[:2] + toy.TORCH_NAMES[3:])
    with pytest.raises(UserError, match=r"the table of names has x\.weight twice"):
        export_weights(
            {"params": {"a": {"kernel": np.zeros((1, 1)), "scale": np.zeros(1)}}}, [("x", "a")]
        )


def test_flattened_maps_of_another_size_are_an_error():
    # The rows could be taken in any order, and the shapes would fit.
    variables, _ = imported(toy.state_dict())
    other = {"hidden": (6, 2, 2)}
    with pytest.raises(UserError, match=r"hidden takes 54 inputs here, but .* maps of \(6, 2, 2\)"):
        export_weights(variables, toy.TORCH_NAMES, other)
    with pytest.raises(UserError, match=r"hidden takes 54 inputs here, but .* maps of \(6, 2, 2\)"):
        imported(toy.state_dict(), flattened=other)
