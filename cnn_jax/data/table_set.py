"""The data set of a table of image files, in memory or found for streaming."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.depth import GreyRange
from cnn_jax.data.folder import FoundFiles, left_out
from cnn_jax.data.image_files import read_images
from cnn_jax.data.memory_limit import check_side
from cnn_jax.data.sources import ImageFiles
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table import Rows, read_table
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns
from cnn_jax.user_path import user_path


def find_table(
    path: str | Path, columns: Columns, kind: Kind, *, judged: bool = False
) -> FoundFiles:
    """The image files of `csv:PATH` by part, with what is to be told of them.

    Args:
      path: the table.
      columns: which columns hold what.
      kind: of the targets.
      judged: as of `read_table`.

    Raises:
      UserError: as `read_table` does.
    """
    table = read_table(path, columns, kind, judged=judged)

    def source(rows: Rows) -> ImageFiles:
        # A name may lead out of the folder.
        root = Path("/")
        return ImageFiles(root, root, map(Path.absolute, rows.paths), rows.targets, rows.groups)

    parts = {part: source(rows) for part, rows in table.parts.items()}
    return FoundFiles(table.class_names, parts, str(user_path(path).resolve()), table.notes)


def load_table(
    path: str | Path,
    columns: Columns,
    kind: Kind,
    *,
    name: str,
    image_size: int | None = None,
    skip_bad: bool = False,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The data set `csv:PATH`; without a test part a tenth of the training images is cut.

    Args:
      path: the table.
      columns: which columns hold what.
      kind: of the targets.
      name: of the set.
      image_size: as of `cnn_jax.data.folder.load_folder`, and so all that follow.
      skip_bad: leave out images that cannot be read, and name them on stderr.
      grey_range: the values of 16-bit grey that are black and white.
      full_depth: keep all bits of 16-bit PNG.
      max_bytes: that the images may take.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: as `read_table` does; or images differ in size, take too much memory or cannot be
        read.
    """
    check_side("--data.image-size", image_size)
    found = find_table(path, columns, kind)
    paths = [source.path(place) for source in found.parts.values() for place in range(len(source))]
    sizes = [len(source) for source in found.parts.values()]
    part_of = np.repeat(np.arange(len(sizes)), sizes)
    names = list(found.parts)
    training = part_of == names.index("train")
    images, good, bad, depths = read_images(
        paths,
        name,
        image_size,
        max_bytes,
        training=training,
        grey_range=grey_range,
        full_depth=full_depth,
    )
    notes = list(found.notes)
    if bad:
        notes.append(left_out(name, bad, skip_bad))
    parts: dict[str, Split] = {}
    start = 0
    for part, source in found.parts.items():
        kept = good[start : start + len(source)]
        if not kept.any():
            raise UserError(f"no image in the {part} part of {name} can be read")
        held = images[start : start + len(source)]
        groups = source.groups()
        if kept.all():
            parts[part] = Split(held, source.targets(), groups)
        else:
            parts[part] = Split(
                held[kept], source.targets()[kept], None if groups is None else groups[kept]
            )
        start += len(source)
    dataset = Dataset(
        name=name,
        class_names=found.class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=found.source,
        notes=(*notes, *depths.notes()),
        grey_range=depths.grey_range,
    )
    return cut_test(dataset, test_part)
