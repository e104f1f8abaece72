"""Tables of files as other programs write them."""

import pytest
from PIL import Image

from cnn_jax import UserError
from cnn_jax.data.table import read_table
from cnn_jax.recipe import Columns


def table(folder, text):
    (folder / "images").mkdir(exist_ok=True)
    for name in "abcd":
        Image.new("L", (4, 4)).save(folder / "images" / f"{name}.png")
    (folder / "labels.csv").write_bytes(text.encode())
    return folder / "labels.csv"


def test_paths_of_windows_are_read_aloud(tmp_path):
    file = table(tmp_path, "file,kind\r\nimages\\a.png,x\r\nimages\\b.png,y\r\n")
    found = read_table(file, Columns(), "class")
    assert found.parts["train"].paths == [tmp_path / "images" / f"{name}.png" for name in "ab"]
    assert found.notes == (
        r"paths of labels.csv such as images\a.png are written with \ and read with /",
    )
    # A name may hold the sign.
    (tmp_path / r"images\a.png").write_bytes(b"")
    found = read_table(file, Columns(), "class").parts["train"].paths
    assert [path.name for path in found] == [r"images\a.png", "b.png"]


def test_cells_keep_the_lines_and_signs_that_they_hold(tmp_path):
    file = table(tmp_path, 'file,kind\na.png,"x\ny"\nb.png,"x\u2028y"\nc.png,x\x0by\n')
    assert read_table(file, Columns(), "class").class_names == ("x\ny", "x\x0by", "x\u2028y")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('file,kind\na.png,"x\nb.png,y\n', "a quote in the row that begins in line 2 is never"),
        ("file,kind\na.png,x\n,y\n", "row 3 of {file} names no file"),
        ("file,kind\na.png,x\nb.p\0ng,y\n", "{file} holds bytes of 0 in line 3; save it as UTF-8"),
    ],
)
def test_faulty_rows_are_told_with_their_place(tmp_path, text, said):
    file = table(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_table(file, Columns(), "class")
    assert said.format(file=file) in str(error.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [(",file,age\n0,a.png,3\n1,b.png,4\n", 1), ("file,age,\na.png,3,\nb.png,4,\n", 3)],
)
def test_a_column_without_a_name_is_left_out_aloud(tmp_path, text, place):
    found = read_table(table(tmp_path, text), Columns(), "number")
    assert found.class_names == ("age",)
    assert f"column {place} of labels.csv has no name and is left out" in found.notes
