import pytest

from cnn_jax.errors import UserError
from cnn_jax.pretrained.patterns import NameTable


@pytest.mark.parametrize(
    ("row", "theirs", "ours"),
    [
        (("fc", "head"), "fc", "head"),
        ((r"features\.0", "stem/conv"), "features.0", "stem/conv"),
        ((r"layer(\d)\.(\d+)\.bn(\d)", r"s\1/b\2/c\3/norm"), "layer2.10.bn3", "s2/b10/c3/norm"),
        ((r"(\d+)\.(conv|norm)", r"\2/\1"), "12.norm", "norm/12"),
        ((r"s\.(\d+)\.((?:conv|norm)\d)", r"stage\1/\2"), "s.3.conv2", "stage3/conv2"),
        ((r"(inception\d[a-e])\.branch([23])", r"\1/branch\2"), "inception4e.branch3",
         "inception4e/branch3"),
        ((r"a(\d)\.b", r"x\1/y\1"), "a7.b", "x7/y7"),
        ((r"a(\d)\.b\1", r"x\1"), "a7.b7", "x7"),
        ((r"a((\d)x)", r"y/\1"), "a5x", "y/5x"),
        ((r"a([)(]+)\.b(\d)", r"\1/\2"), "a().b3", "()/3"),
    ],
)  # fmt: skip
def test_reads_both_ways(row, theirs, ours):
    table = NameTable([row])
    assert table.ours(theirs) == ours
    assert table.theirs(ours) == theirs
    assert table.ours(theirs + "x") is None
    assert table.theirs("x" + ours) is None


@pytest.mark.parametrize(
    ("pattern", "aliases"),
    [
        (r"l(\d)\.(?:shortcut|downsample)", ["l3.shortcut", "l3.downsample"]),
        (r"l(\d)\.(?:a|b(?:c|d))", ["l3.a", "l3.bc", "l3.bd"]),
        (r"l(\d)|block", ["l3"]),
        (r"l(\d)\.?x", ["l3x", "l3.x"]),
        (r"(?:model\.)?l(\d)", ["l3", "model.l3"]),
    ],
)
def test_writes_the_first_of_several_names(pattern, aliases):
    table = NameTable([(pattern, r"stage\1")])
    assert [table.ours(name) for name in aliases] == ["stage3"] * len(aliases)
    assert table.theirs("stage3") == aliases[0]


def test_the_first_row_that_holds_counts_in_both_directions():
    table = NameTable([(r"a\.1", "first"), (r"a\.(\d)", r"n\1"), (r"b\.(\d)", r"n\1")])
    assert table.ours("a.1") == "first"
    assert table.ours("a.2") == "n2"
    # Were it a.1, it would be read as `first`.
    assert table.theirs("n1") == "b.1"
    assert table.theirs("n2") == "a.2"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((r"a(", "x"), "no regular expression"),
        ((r"a", r"x\1"), "uses a group that 'a' does not have"),
        ((r"a", r"x\d"), "only groups such as"),
    ],
)
def test_refuses_what_is_no_row(row, message):
    with pytest.raises(UserError, match=message):
        NameTable([row])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((r"a\d", "x"), r"\\d stands outside a plain group"),
        ((r"a(?:\d)", "x"), r"\\d stands outside a plain group"),
        ((r"a[bc]", "x"), r"\[ stands outside a plain group"),
        ((r"ab+", "x"), r"\+ stands outside a plain group"),
        ((r"a.b", "x"), r"\. stands outside a plain group"),
        ((r"a(\d)?", r"x\1"), "a group that may be missing stands outside"),
        ((r"a(?P<n>\d)", r"x\1"), r"\(\? stands outside a plain group"),
        ((r"a(\d)", "x"), r"'x' does not use all its groups"),
        ((r"a((\d)x)", r"x\2"), "group 2 of .* stands in another group"),
    ],
)
def test_tells_what_cannot_be_read_backwards(row, message):
    table = NameTable([row])
    assert table.ours("none of them") is None
    with pytest.raises(UserError, match=message):
        table.theirs("x")
