import json

import pytest

from cnn_jax.errors import UserError
from cnn_jax.pretrained.naming import Naming, read_naming

NAMES = [["fc", "head"]]


def written(path, value):
    path.write_text(json.dumps(value))
    return path


def test_reads_a_table(tmp_path):
    value = {"names": NAMES, "flattened": {"head": [6, 3, 3]}, "optional": ["aux.*"]}
    assert read_naming(written(tmp_path / "names.json", value)) == Naming(
        (("fc", "head"),), {"head": (6, 3, 3)}, ("aux.*",)
    )


@pytest.mark.parametrize("value", [None, 5, "a", [], NAMES, {}, {"flattened": {}}])
def test_refuses_what_is_no_table(tmp_path, value):
    with pytest.raises(UserError, match=r'names\.json is no table of names: \{"names": \[\["fc"'):
        read_naming(written(tmp_path / "names.json", value))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("names", "ab"),
        ("names", None),
        ("names", {"ab": "c"}),
        ("names", ["ab"]),
        ("names", [["a"]]),
        ("names", [["a", "b", "c"]]),
        ("names", [["a", 5]]),
        ("flattened", [["head", 1]]),
        ("flattened", {"head": "abc"}),
        ("flattened", {"head": [6, 3]}),
        ("flattened", {"head": [6, -3, -3]}),
        ("flattened", {"head": [6, 3, 3.5]}),
        ("optional", "aux"),
        ("optional", [1]),
        ("ones", [1]),
        ("ones", {"a": -1}),
        ("ones", {"a": True}),
    ],
)
def test_refuses_fields_of_another_kind(tmp_path, field, value):
    path = written(tmp_path / "names.json", {"names": NAMES, field: value})
    with pytest.raises(UserError, match=rf"names\.json: {field} must be .* such as"):
        read_naming(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": [["a(", "b"]]}, r"'a\(' is no regular expression"),
        ({"names": [["a{9999999999999}", "b"]]}, "is no regular expression"),
        ({"names": [["(" * 5000 + ")" * 5000, "b"]]}, "is no regular expression"),
        ({"names": [["a", r"b\1"]]}, "uses a group that 'a' does not have"),
        ({"optional": ["("]}, r"'\(' is no regular expression"),
        ({"ones": {"(": 1}}, r"'\(' is no regular expression"),
        ({"optionl": []}, "unknown field .* 'optionl'; did you mean 'optional'"),
    ],
)
def test_refuses_patterns_and_fields_that_are_none(tmp_path, change, message):
    path = written(tmp_path / "names.json", {"names": NAMES, **change})
    with pytest.raises(UserError, match=message) as error:
        read_naming(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe"])
def test_refuses_what_is_no_json(tmp_path, data):
    path = tmp_path / "names.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"names\.json is no JSON"):
        read_naming(path)
