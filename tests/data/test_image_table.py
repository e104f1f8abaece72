"""Tables of image files."""

import numpy as np
import pytest
from PIL import Image

from cnn_jax import UserError
from cnn_jax.data.table import read_table
from cnn_jax.recipe import Columns


def write(folder, text, files=("a.png", "b.png", "c.png", "d.png"), beside="", encoding="utf-8"):
    (folder / beside).mkdir(exist_ok=True, parents=True)
    for place, name in enumerate(files):
        Image.new("L", (4, 4), place * 50).save(folder / beside / name)
    table = folder / "labels.csv"
    table.write_text(text, encoding=encoding)
    return table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_numbers_with_parts(tmp_path, delimiter):
    rows = ["file,age,split", "a.png,3,train", "b.png,4.5,train", "c.png,7,val", "d.png,1,test"]
    table = write(tmp_path, "\n".join(rows).replace(",", delimiter), encoding="utf-8-sig")
    found = read_table(table, Columns(), "number")
    assert found.class_names == ("age",)
    assert {part: rows.targets.tolist() for part, rows in found.parts.items()} == {
        "train": [[3.0], [4.5]],
        "validation": [[7.0]],
        "test": [[1.0]],
    }
    assert found.parts["test"].paths == [tmp_path / "d.png"]
    assert found.parts["train"].targets.dtype == np.float32


def test_files_may_lie_in_a_folder_beside(tmp_path):
    table = write(tmp_path, "path,kind\na.png,x\nb.png,y\n", beside="images")
    found = read_table(table, Columns(), "class")
    assert found.parts["train"].paths[0] == tmp_path / "images" / "a.png"
    assert any("named from" in note for note in found.notes)


def test_classes_in_the_order_of_numbers_or_of_a_list(tmp_path):
    table = write(tmp_path, "file,digit\na.png,10\nb.png,9\nc.png,10\nd.png,2\n")
    found = read_table(table, Columns(), "class")
    assert found.class_names == ("2", "9", "10")
    assert found.parts["train"].targets.tolist() == [2, 1, 2, 0]
    (tmp_path / "names.txt").write_text("10\n9\n2\n7\n")
    listed = read_table(table, Columns(names=str(tmp_path / "names.txt")), "class")
    assert listed.parts["train"].targets.tolist() == [0, 1, 0, 2] and len(listed.class_names) == 4


@pytest.mark.parametrize("separator", [" ", ";", ", ", "|"])
def test_tags_in_one_cell(tmp_path, separator):
    cells = [separator.join(tags) for tags in (["sun", "sea"], ["sea"], [], ["sand"])]
    lines = [
        "file\ttags",
        *[f"{name}.png\t{cell}" for name, cell in zip("abcd", cells, strict=True)],
    ]
    found = read_table(write(tmp_path, "\n".join(lines)), Columns(), "tags")
    assert found.class_names == ("sand", "sea", "sun")
    assert found.parts["train"].targets.tolist() == [[0, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert found.parts["train"].targets.dtype == np.int8


def test_tags_that_are_not_listed_are_left_out_aloud(tmp_path):
    table = write(tmp_path, "file,tags\na.png,sun sea\nb.png,moon\nc.png,sea\nd.png,\n")
    (tmp_path / "names.txt").write_text("sea\nice\n")
    found = read_table(table, Columns(names=str(tmp_path / "names.txt")), "tags")
    assert found.parts["train"].targets.tolist() == [[1, 0], [0, 0], [1, 0], [0, 0]]
    assert found.notes == (
        "2 tags are left out that --data.columns.names does not list; 1 images have none but these",
        "1 listed tags are in no image: ice",
    )


def test_tags_in_columns_may_be_unknown(tmp_path):
    table = write(tmp_path, "file,sun,sea\na.png,1,0\nb.png,,1\nc.png,-1,?\nd.png,0,1\n")
    found = read_table(table, Columns(), "tags")
    assert found.parts["train"].targets.tolist() == [[1, 0], [-1, 1], [-1, -1], [0, 1]]
    assert found.notes == ("3 of 8 tags are unknown",)


def test_files_that_stand_in_several_rows_are_told(tmp_path):
    rows = "a.png,cat\nb.png,dog\na.png,dog\n"
    found = read_table(write(tmp_path, f"file,kind\n{rows}"), Columns(), "class")
    assert len(found.parts["train"].paths) == 3
    (note,) = found.notes
    assert "1 files are named in several rows" in note and "a.png" in note


def test_groups(tmp_path):
    table = write(tmp_path, "file,who,age\na.png,x,1\nb.png,y,2\nc.png,x,3\nd.png,z,4\n")
    found = read_table(table, Columns(("age",), group="who"), "number")
    assert found.parts["train"].groups.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("text", "columns", "kind", "said"),
    [
        (
            "file,age\na.png,x\n",
            {},
            "number",
            r"row 2 .* has age 'x', which is no finite number",
        ),
        ("file,age\na.png,nan\n", {}, "number", r"has age 'nan'"),
        ("file,age\na.png\n", {}, "number", r"row 2 of .* has 1 cells, but there are 2 columns"),
        ("file,age\n", {}, "number", "holds no rows"),
        ("one,age\na.png,3\n", {}, "number", r"say which of one, age names the image files"),
        (
            "file,age\nno.png,3\nb.png,3\n",
            {},
            "number",
            r"1 of the 2 .* not there:\n.*no.png",
        ),
        ("file,age\na.png,3\n", {"targets": ("aeg",)}, "number", r"'aeg'; did you mean 'age'"),
        ("file,a,b\na.png,3,4\nb.png,1,2\n", {}, "class", "classes are told by one column"),
        (
            "file,a,split\na.png,3,holdout\n",
            {},
            "number",
            r"row 2 .* has split 'holdout'; valid",
        ),
        ("file,a,split\na.png,3,test\n", {}, "number", "no row of the train part"),
        ("file,a,b\na.png,3,0\nb.png,1,1\n", {}, "tags", r"row 2 of .* has a '3'; a tag is 1, 0"),
        (
            "file,a,who,split\na.png,3,x,train\nb.png,1,x,test\n",
            {"targets": ("a",), "group": "who"},
            "number",
            "examples of one who .* are both in the train and in the test part",
        ),
        ("file,file\na.png,b.png\n", {}, "class", "must name two columns or more"),
        ("file,k\na.png,x\nb.png,x\n", {}, "class", "one class only, x"),
    ],
)
def test_bad_tables_are_told(tmp_path, text, columns, kind, said):
    table = write(tmp_path, text)
    with pytest.raises(UserError, match=said):
        read_table(table, Columns(**columns), kind)


def test_other_encodings_are_named(tmp_path):
    table = write(tmp_path, "file,kind\na.png,caf\u00e9\nb.png,y\n", encoding="latin-1")
    with pytest.raises(UserError, match=r"is not written in UTF-8 \(byte 19\)"):
        read_table(table, Columns(), "class")


def test_many_missing_files_are_counted(tmp_path):
    table = write(tmp_path, f"file,a\na.png,1\n{'x' * 300}.png,2\n")  # too long for any file
    with pytest.raises(UserError, match=r"1 of the 2 files (.|\n)*xxx\.png"):
        read_table(table, Columns(), "number")
    table = write(tmp_path, "file,a\n" + "".join(f"x{i}.png,{i}\n" for i in range(30)))
    with pytest.raises(UserError, match=r"30 of the 30 files (.|\n)*and 10 more"):
        read_table(table, Columns(), "number")
