"""The examples that stored predictions are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.data.dataset import Split
from cnn_jax.errors import UserError
from cnn_jax.evaluation.judged import Judged
from cnn_jax.evaluation.own_data import is_own, own_part
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.restored import Restored
from cnn_jax.run_folder import RunFolder


def examples_of(
    run: Path,
    restored: Restored,
    predictions: Predictions,
    places: Sequence[int],
    data_dir: Path | None = None,
    read: Judged | None = None,
) -> Split:
    """The raw examples that some of the predictions of a run are of, in this order.

    They are found by what they hold, wherever they lie in the data now.

    Args:
      run: the run folder.
      restored: its model.
      predictions: of a part of its own data.
      places: among them.
      data_dir: where TFDS sets lie.
      read: the part of the data that they are of, where it has been read already.

    Raises:
      UserError: the predictions are of other data, or the examples are no longer there.
    """
    about, parts = predictions.about, RunFolder(run).parts()
    if not is_own(restored.recipe.data, about["dataset"], parts):
        raise UserError(
            f"the predictions are of {about['dataset']}, and not of the run's own data; give the "
            "run folder and a part"
        )
    part: Any = about["split"]
    judged = own_part(restored, part, data_dir, parts) if read is None else read
    if judged.digests is None:
        if len(judged.examples) != len(predictions):
            raise UserError(
                f"{restored.recipe.data.name} has changed since: its {part} part has "
                f"{len(judged.examples):,} examples, and {len(predictions):,} were predicted"
            )
        return judged.examples.decoded(np.asarray(places, np.int64))
    at = {f"{each:016x}": place for place, each in enumerate(judged.digests.tolist())}
    lost = [place for place in places if predictions.ids[place] not in at]
    if lost:
        raise UserError(
            f"{len(lost):,} of the {len(places):,} examples are no longer in "
            f"{restored.recipe.data.name}"
        )
    return judged.examples.decoded(np.array([at[predictions.ids[place]] for place in places]))
