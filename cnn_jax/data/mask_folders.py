"""Which files of a folder are images, which are their masks, and to which part they belong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cnn_jax.data.files_below import below
from cnn_jax.data.image_folders import visible
from cnn_jax.data.images import Stored
from cnn_jax.data.signatures import verdict
from cnn_jax.data.utf8 import read_utf8
from cnn_jax.errors import UserError

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "testing": "test",
    "test": "test",
}
_IMAGES = "images|image|imgs|img|jpegimages|pictures|photos|leftimg8bit|rgb|inputs|input|x"
_MASKS = (
    "masks|mask|annot|annotations|annotation|labels|label|semantic|segmentation|segmentations|"
    "segmentationclass|seg|groundtruth|groundtruths|gt|gtfine|targets|target|y"
)
_SPLIT = "|".join(_SPLITS)
_FORMS = (
    re.compile(rf"(?P<split>{_SPLIT})(?:\d{{4}})?[ _-]?(?P<role>{_IMAGES}|{_MASKS})?"),
    re.compile(rf"(?P<role>{_IMAGES}|{_MASKS})(?:[ _-](?P<split>{_SPLIT})(?:\d{{4}})?)?"),
)
_LISTS = ("", "lists", "splits", "ImageSets/Segmentation", "ImageSets")
_OF_IMAGE = re.compile(r"[_\-. ](leftimg8bit|images?|img|rgb|sat)$", re.IGNORECASE)
_LAST_WORD = re.compile(r"[_\-. ][A-Za-z0-9]+$")
_NAMED = 20
PARTS = ("train", "validation", "test")


class Pair(NamedTuple):
    """An image and its mask: files, or what lies in a record."""

    image: Path | Stored
    mask: Path | Stored


@dataclass(frozen=True)
class FoundPairs:
    """The images and masks of a folder, not yet read.

    Attributes:
      parts: by part; all of `train` where nothing says which part they belong to.
      folders: where the masks lie.
      notes: what was passed over.
    """

    parts: dict[str, list[Pair]]
    folders: tuple[Path, ...]
    notes: tuple[str, ...]


class _Folder(NamedTuple):
    path: Path
    role: str | None
    split: str | None


def find_pairs(top: Path, *, skip_bad: bool = False, judged: bool = False) -> FoundPairs:
    """The images of a folder with the mask of each.

    It holds folders `train`, `val`, `test` beside `trainannot`, `valannot`, `testannot` (or
    `train_masks`, `train_labels` and the like); or `images` and `masks` (also `labels`,
    `annotations`, `SegmentationClass` and the like), with these parts as folders in them or around
    them, or with lists `train.txt`, `val.txt`, `test.txt` of names. A mask has the name of its
    image, also with one word more, such as `cat_mask.png` for `cat.jpg`.

    Args:
      top: the folder.
      skip_bad: leave out images without a mask.
      judged: nothing is learnt from them: any parts will do.

    Raises:
      UserError: there is no such folder, it is not laid out so, or images have no mask.
    """
    if not top.is_dir():
        raise UserError(f"masks:{top}: there is no such folder")
    notes: list[str] = []
    images, masks = _folders(top, notes)
    parts: dict[str, list[Pair]] = {}
    without: list[Path] = []
    for split in (*PARTS, None):
        if split not in images:
            continue
        beside = masks.get(split, masks.get(None))
        if beside is None:
            raise UserError(
                f"{top} has the images {images[split].name} and no folder with their masks, such "
                f"as {images[split].name}annot or masks"
            )
        files, of = _pictures(images[split]), _pictures(beside)
        named = _lists(top, files) if split is None else {}
        chosen = named or {split or "train": sorted(files)}
        pairs, missing = _matched(files, of, [key for keys in chosen.values() for key in keys])
        without += missing
        for part, keys in chosen.items():
            parts[part] = [pairs[key] for key in keys if key in pairs]
        used = {pair.mask for pair in pairs.values()}
        if named and (left := len(files) - sum(map(len, chosen.values()))):
            notes.append(f"{left:,} images are in none of the lists and are left out")
        elif split in masks and (others := sorted(set(of.values()) - used)):
            notes.append(_listed(others, "masks have no image and are passed over"))
    if without and not skip_bad:
        raise UserError(
            _listed(without, "images have no mask")
            + "\nAdd their masks, remove them, or give --data.skip-bad to leave them out."
        )
    if without:
        notes.append(_listed(without, "images have no mask and are left out"))
    parts = {part: parts[part] for part in PARTS if parts.get(part)}
    if not parts or ("train" not in parts and not judged):
        there = f"only {', '.join(parts)}" if parts else "no images with masks"
        raise UserError(f"{top} holds {there}; there must be images of a train part")
    return FoundPairs(parts, tuple(dict.fromkeys(masks.values())), tuple(notes))


def _meaning(name: str) -> tuple[str | None, str | None]:
    """Whether a folder of this name holds images or masks, and of which part."""
    for form in _FORMS:
        if found := form.fullmatch(name.lower()):
            role, split = found["role"], found["split"]
            kind = None if role is None else "mask" if role in _MASKS.split("|") else "image"
            return kind, _SPLITS.get(split or "")
    return None, None


def _folders(top: Path, notes: list[str]) -> tuple[dict[str | None, Path], dict[str | None, Path]]:
    """The folder of images and that of masks of each part; None where parts are not told apart."""
    found: list[_Folder] = []
    for outer in _inside(top):
        role, split = _meaning(outer.name)
        inner = [_Folder(each, *_meaning(each.name)) for each in _inside(outer)]
        inner = [each for each in inner if each.role or each.split]
        if (role or split) and inner:
            found += [_Folder(each, has or role, of or split) for each, has, of in inner]
        elif role or split:
            found.append(_Folder(outer, role, split))
    # A folder that holds no pictures, such as one of JSON files, may be called the same.
    found = [each for each in found if _holds_pictures(each.path)]
    images: dict[str | None, Path] = {}
    masks: dict[str | None, Path] = {}
    for each in found:
        into = masks if each.role == "mask" else images
        if each.split in into:
            raise UserError(
                f"{top} holds two folders for the {each.role or 'image'}s"
                f"{f' of {each.split}' if each.split else ''}: {into[each.split].relative_to(top)} "
                f"and {each.path.relative_to(top)}; there must be one"
            )
        into[each.split] = each.path
    if not images or not masks:
        raise UserError(
            f"{top} holds {'no folder of images' if not images else 'no folder of masks'}; it must "
            "hold train, val, test beside trainannot, valannot, testannot, or images beside masks "
            "(or labels, annotations)"
        )
    alone = [folder for split, folder in masks.items() if split and split not in images]
    if len(images) > 1 and None in images:
        alone.insert(0, images.pop(None))
    for folder in alone:
        notes.append(f"the folder {folder.relative_to(top)} is passed over: it belongs to no part")
    return images, masks


def _inside(folder: Path) -> list[Path]:
    return [each for each in visible(folder) if each.is_dir()]


def _holds_pictures(folder: Path) -> bool:
    return any(verdict(each) == "image" for each in below(folder) if not each.is_dir())


def _pictures(folder: Path) -> dict[str, Path]:
    """The pictures in a folder and in its folders, by their names without what follows the dot."""
    found: dict[str, Path] = {}
    for each in below(folder):
        if each.is_dir() or verdict(each) == "no image":
            continue
        key = each.relative_to(folder).with_suffix("").as_posix()
        if key in found:
            raise UserError(f"{found[key]} and {each} differ only in what follows the dot")
        found[key] = each
    return found


def _matched(
    images: dict[str, Path], masks: dict[str, Path], keys: Sequence[str]
) -> tuple[dict[str, Pair], list[Path]]:
    """The images of some keys with their masks, and those that have none."""
    longer: dict[str, list[Path]] = {}
    for key, mask in masks.items():
        longer.setdefault(_LAST_WORD.sub("", key), []).append(mask)
    pairs: dict[str, Pair] = {}
    missing = []
    for key in keys:
        bare = _OF_IMAGE.sub("", key)
        several = [masks[each] for each in (key, bare) if each in masks][:1]
        several = several or longer.get(key, []) or longer.get(bare, [])
        if len(several) > 1:
            raise UserError(
                f"{images[key]} may have several masks: {', '.join(map(str, several))}; there must "
                "be one"
            )
        if several:
            pairs[key] = Pair(images[key], several[0])
        else:
            missing.append(images[key])
    return pairs, missing


def _lists(top: Path, images: dict[str, Path]) -> dict[str, list[str]]:
    """The keys of the images of each part, as lists beside the folders name them."""
    names: dict[str, list[str]] = {}
    for key in images:
        names.setdefault(Path(key).name, []).append(key)
    found: dict[str, list[str]] = {}
    for folder in _LISTS:
        there = visible(top / folder) if (top / folder).is_dir() else []
        files = {each.name.lower(): each for each in there if each.is_file()}
        for word, part in _SPLITS.items():
            file = files.get(f"{word}.txt")
            if part in found or file is None:
                continue
            lines = [line.split() for line in read_utf8(file).splitlines()]
            words = [line[0] for line in lines if line]
            if not words:
                raise UserError(f"{file} lists no images; fill it, or remove it")
            keys = [_keys_of(word, images, names) for word in words]
            unknown = [word for word, of in zip(words, keys, strict=True) if not of]
            if unknown:
                raise UserError(_listed(unknown, f"names in {file} are no images"))
            for word, of in zip(words, keys, strict=True):
                if len(of) > 1:
                    raise UserError(
                        f"{file} names {word}, which may be {' or '.join(of)}; write it with its "
                        "folder"
                    )
            found[part] = [key for (key,) in keys]
        if found:
            break
    twice = [key for keys in found.values() for key in keys]
    if len(set(twice)) < len(twice):
        again = sorted({key for key in twice if twice.count(key) > 1})
        raise UserError(_listed(again, f"images are named more than once in the lists of {top}"))
    return found


def _keys_of(word: str, images: dict[str, Path], names: dict[str, list[str]]) -> list[str]:
    """The keys of the images that a line of a list may mean.

    Args:
      word: a name, perhaps with folders before it and the ending of a file behind it.
      images: by key.
      names: the keys by their names without folders.
    """
    # As it is written on Windows too.
    path = PurePosixPath(word if word in images else word.replace("\\", "/"))
    if not path.name:
        return []
    for each in (path, path.with_suffix("")):  # a name may hold a dot of its own
        if found := names.get(each.name):
            whole = [key for key in found if f"/{each}".endswith(f"/{key}")]
            return [max(whole, key=len)] if whole else found
    return []


def _listed(names: Sequence[object], what: str) -> str:
    """`3 images WHAT:` and a line for each of the first."""
    lines = [f"{len(names):,} {what}:", *map(str, names[:_NAMED])]
    if len(names) > _NAMED:
        lines.append(f"and {len(names) - _NAMED:,} more")
    return "\n  ".join(lines)
