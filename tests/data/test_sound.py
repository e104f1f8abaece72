"""Sets of sounds: what is read of folders, tables and known corpora, and what is refused."""

import csv

import numpy as np
import pytest
import soundfile
from sound_sets import PITCHES, RATE, folder_of_classes, whistle, write

from cnn_jax import Data, UserError
from cnn_jax.data import describe, load
from cnn_jax.data.recipe_data import load_data
from cnn_jax.data.sound_files import END, lengths, read_sound
from cnn_jax.defaults.sound_recipe import SoundFacts, choose_for_sounds, sound_facts
from cnn_jax.recipe import Columns


def read(top, **how):
    return load_data(Data(f"sound:{top}", validation=0, **how))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of_classes(tmp_path_factory.mktemp("sounds"))


def test_a_folder_a_class_is_held_in_16_bits_with_each_end(folder):
    found = load(f"sound:{folder}")
    assert found.class_names == ("high", "low") and found.rate == RATE
    assert (len(found.train), len(found.test)) == (22, 2)
    inputs = found.train.inputs
    assert inputs.dtype == np.int16 and inputs.shape == (22, 2000)
    ends = lengths(inputs)
    assert set(ends) <= set(range(800, 2001)) and len(set(ends)) > 5
    for row, end in zip(inputs, ends, strict=True):
        assert (row[end:] == END).all() and np.abs(row[:end].astype(int)).max() > 10_000
    whole, _ = soundfile.read(folder / "high" / "00.wav")
    stored = [row[: len(whole)] for row in inputs if lengths(row[None])[0] == len(whole)]
    assert any(np.abs(row / 2**15 - whole).max() < 1e-4 for row in stored)
    told = describe(found)
    assert (told["rate"], told["lengths"]["train"]) == (RATE, [0.2, 0.5])


def test_what_is_too_loud_is_cut_off_aloud(tmp_path):
    for label in PITCHES:
        write(tmp_path / label / "plain.wav", whistle(label, 0.3))
    whole = np.ones(1200) * 2.0**15  # samples of 16 bits written as floats
    write(tmp_path / "low" / "loud.wav", whole, subtype="FLOAT")
    found = load(f"sound:{tmp_path}", test_part=0)
    assert any("1 of 3 sounds have samples beyond -1 to 1" in note for note in found.notes)


def test_a_class_may_be_a_link_to_its_folder(folder, tmp_path):
    for label in PITCHES:
        (tmp_path / label).symlink_to(folder / label)
    found, plain = load(f"sound:{tmp_path}"), load(f"sound:{folder}")
    assert found.class_names == plain.class_names
    assert (found.train.inputs == plain.train.inputs).all()
    (tmp_path / "high2").mkdir()
    (tmp_path / "high2" / "1.wav").symlink_to("gone.wav")
    with pytest.raises(UserError, match=r"high2/1\.wav: there is no such file"):
        load(f"sound:{tmp_path}")


def test_forms_rates_and_channels_become_one(tmp_path):
    for place, form in enumerate(("wav", "flac", "ogg")):
        for label in PITCHES:
            write(tmp_path / label / f"{place}.{form}", whistle(label, 0.3))
    two = np.stack([whistle("low", 0.3, 2 * RATE), np.zeros(2400)], 1)
    write(tmp_path / "low" / "stereo.wav", two, 2 * RATE)
    write(tmp_path / "low" / "silent.wav", np.zeros(1200))
    found = load(f"sound:{tmp_path}", test_part=0)
    assert found.train.inputs.shape == (8, 1200) and found.rate == RATE
    notes = " ".join(found.notes)
    assert "1 of 8 sounds of 8,000 samples a second are brought to 4,000" in notes
    assert "1 of 8 sounds have several channels, whose mean is taken" in notes
    assert "1 of 8 sounds are silent throughout" in notes and "silent.wav" in notes
    brought = read_sound(tmp_path / "low" / "stereo.wav", RATE)
    once = read_sound(tmp_path / "low" / "0.wav")
    assert brought.channels == 2 and len(brought.samples) == 1200
    # Half as loud, since the other channel is silent, and of the same tone.
    power = np.abs(np.fft.rfft(brought.samples)) / np.abs(np.fft.rfft(once.samples)).max()
    assert np.argmax(power) == np.argmax(np.abs(np.fft.rfft(once.samples)))
    assert 0.45 < power.max() < 0.55
    assert load(f"sound:{tmp_path}", test_part=0, rate=2000).train.inputs.shape == (8, 600)


def test_a_tone_above_half_of_the_lower_rate_is_gone(tmp_path):
    time = np.arange(8000) / 8000
    file = write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 3000 * time), 8000)
    assert np.abs(read_sound(file, 4000).samples[100:-100]).max() < 300


def damaged(top, name):
    whole = (top / "low" / "01.wav").read_bytes()
    content = {
        "cut.wav": whole[: len(whole) // 2],
        "empty.wav": b"",
        "words.wav": b"these are words, no sound",
    }
    if name in content:
        (top / "low" / name).write_bytes(content[name])
    elif name == "none.wav":
        write(top / "low" / name, np.zeros(0))
    else:
        file = write(top / "low" / name, whistle("low", 3.0))
        file.write_bytes(file.read_bytes()[:-8000])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cut.wav", "is cut off: it should hold"),
        ("cut.flac", r"cut off|cannot be read"),
        ("empty.wav", "is empty"),
        ("words.wav", "cannot be read as a sound"),
        ("none.wav", "holds no sample"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, why):
    folder_of_classes(tmp_path, 3)
    damaged(tmp_path, name)
    with pytest.raises(UserError, match=why) as told:
        load(f"sound:{tmp_path}")
    assert name in str(told.value) and "--data.skip-bad" in str(told.value)
    found = load(f"sound:{tmp_path}", skip_bad=True, test_part=0)
    assert len(found.train) == 6 and any(name in note for note in found.notes)


def test_a_wav_whose_length_was_not_known_when_it_was_begun_is_read(tmp_path):
    file = write(tmp_path / "sent.wav", whistle("low", 0.1))
    content = bytearray(file.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    file.write_bytes(content)
    assert len(read_sound(file).samples) == 400


def test_folders_may_say_the_part(tmp_path):
    for part, count in (("train", 4), ("val", 1), ("test", 2)):
        folder_of_classes(tmp_path / part, count)
    found = load(f"sound:{tmp_path}")
    assert [len(each) for each in (found.train, found.validation, found.test)] == [8, 2, 4]
    write(tmp_path / "test" / "else" / "a.wav", whistle("low", 0.2))
    with pytest.raises(UserError, match="classes that are in no train part: else"):
        load(f"sound:{tmp_path}")


def test_one_fold_is_none(tmp_path):
    folder_of_classes(tmp_path / "fold1", 10)
    found = load(f"sound:{tmp_path}")
    assert (len(found.train), len(found.test), found.folds) == (18, 2, None)


def test_digits_have_their_official_test_part_and_a_fold_a_speaker(tmp_path):
    speakers = ("ann", "bob", "cid")
    for digit in range(2):
        for speaker in speakers:
            for index in range(7):
                name = f"{digit}_{speaker}_{index}.wav"
                label = ("low", "high")[digit]
                write(tmp_path / "recordings" / name, whistle(label, 0.1, seed=index))
    whole = load(f"sound:{tmp_path}")
    assert (len(whole.train), len(whole.test), whole.class_names) == (12, 30, ("0", "1"))
    found = read(tmp_path, folds=3, fold=2)
    assert (len(found.train), len(found.test)) == (28, 14)
    assert any("fold 2 of 3, 14 examples, those that the set calls bob" in n for n in found.notes)
    with pytest.raises(UserError, match=r"comes with 3 folds, ann, bob, cid; give"):
        read(tmp_path, folds=4)


@pytest.mark.parametrize("form", ["table", "folders", "names"])
def test_official_folds_are_those_of_the_runs(tmp_path, form):
    """As ESC has them: in a table beside the folder of sounds, in names, or as folders."""
    rows, top = [], tmp_path / "audio"
    for fold in range(1, 4):
        for place, label in enumerate(("low", "high", "low", "high")):
            name = f"{fold}-{1000 + place // 2}-A-{place % 2}.wav"
            folder = {"table": top, "folders": top / f"fold{fold}" / label, "names": top / label}
            write(folder[form] / name, whistle(label, 0.1 * fold, seed=place))
            rows.append((name, fold, place % 2, label, "True", 1000 + place, "A"))
    data = tmp_path / "audio"
    if form == "table":
        data = tmp_path / "meta" / "esc.csv"
        data.parent.mkdir()
        with data.open("w", newline="") as out:
            titles = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
            csv.writer(out).writerows([titles, *rows])
    for fold in range(1, 4):
        found = read(data, folds=3, fold=fold)
        assert found.class_names == ("high", "low")
        # The length tells the fold.
        assert set(lengths(found.test.inputs)) == {400 * fold} and len(found.test) == 4
        assert 400 * fold not in set(lengths(found.train.inputs)) and len(found.train) == 8
    alone = read(data)
    assert set(lengths(alone.test.inputs)) == {1200}
    assert any("the test part is the last of the 3 folds" in note for note in alone.notes)


def test_a_table_may_name_words_as_folds_and_tell_tags_or_numbers(folder, tmp_path):
    lines = ["path,who,tags,age"]
    for place in range(6):
        lines.append(
            f"{folder}/low/0{place}.wav,{'ab'[place % 2]},{'x;y' if place else 'y'},{place}"
        )
    table = tmp_path / "all.csv"
    table.write_text("\n".join(lines))
    columns = ("tags",)
    found = load_data(
        Data(
            f"sound:{table}",
            validation=0,
            folds=2,
            columns=Columns(targets=columns, fold="who"),
        ),
        kind="tags",
    )
    assert found.class_names == ("x", "y") and found.train.targets.shape == (3, 2)
    numbers = load(f"sound:{table}", columns=Columns(targets=("age",)), kind="number")
    assert numbers.train.targets.dtype == np.float32 and numbers.test is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda top: None, "there is no"),
        (lambda top: top.mkdir(), "holds no sounds"),
        (lambda top: write(top / "a" / "1.wav", whistle("low", 0.1)), "one class only, a"),
        (lambda top: write(top / "1.wav", whistle("low", 0.1)), "lie in no folder of a class"),
    ],
)
def test_what_is_no_set_of_sounds_is_refused(tmp_path, make, message):
    make(tmp_path / "set")
    with pytest.raises(UserError, match=message):
        load(f"sound:{tmp_path / 'set'}")


def test_what_is_of_other_data_is_refused(folder):
    for name, how, message in (
        (f"sound:{folder}", {"image_size": 8}, "--data.image-size is for images"),
        (f"sound:{folder}", {"rate": 0}, "--data.rate 0 must be at least 1"),
        (f"sound:{folder}", {"kind": "number"}, "the task learns number"),
        (f"sound:{folder}/low/00.wav", {}, "is one sound; give the folder"),
        ("digits", {"rate": 8000}, "--data.rate 8000 is for sounds"),
    ):
        with pytest.raises(UserError, match=message):
            load(name, **how)


def test_the_default_recipe_follows_from_the_heads_of_files(folder, tmp_path):
    facts = sound_facts(Data(f"sound:{folder}"))
    assert facts == SoundFacts("class", 22, 2, pytest.approx(0.5), RATE, True, False, 0.5, 0.5)
    recipe, why = choose_for_sounds("sound", "t", Data(f"sound:{folder}"), facts)
    assert "22 sounds of up to about 0.5 seconds, 2 classes: logmel_cnn" in why
    # As many samples a second as there are, frames of about 32 ms.
    assert (recipe.data.rate, recipe.sound.fft, recipe.sound.window) == (RATE, 128, 0.5)
    assert recipe.data.validation == 0
    # As ESC-10 and a large set are, and one whose rate the command line gives.
    esc = SoundFacts("class", 320, 10, 5.0, 44_100, False)
    recipe, _ = choose_for_sounds("sound", "t", Data(""), esc)
    assert (recipe.data.rate, recipe.sound.fft, recipe.sound.window) == (16_000, 512, 5.0)
    recipe, _ = choose_for_sounds("sound", "t", Data(""), esc._replace(chosen=True))
    assert (recipe.data.rate, recipe.sound.fft) == (44_100, 1024)
    many, _ = choose_for_sounds("sound", "t", Data(""), esc._replace(examples=9000))
    assert many.data.validation == 0.1
    _, why = choose_for_sounds("sound", "t", Data(""), esc._replace(examples=1600))
    assert "within an hour" in why
    tags, _ = choose_for_sounds("sound", "t", Data(""), esc._replace(kind="tags"))
    assert tags.task.name == "tagging" and tags.augment.mixup == 0
    with pytest.raises(UserError, match="digits is no set of sounds; give sound:PATH"):
        sound_facts(Data("digits"))
