"""A script that trains when it is imported, and reads in processes."""

import os
import subprocess
import sys
from pathlib import Path

from data.photos import write_folder

SCRIPT = """
from cnn_jax import Data, Recipe, main, UserError
from cnn_jax.data.pieces import InTurn, Pieces
from cnn_jax.errors import shown_to_user
from cnn_jax.data.main_guard import end_if_imported
from cnn_jax.data.recipe_data import read_data
import numpy as np

end_if_imported()  # as main, train and train_seeds begin
print("trains")
train = read_data(Data("folder:photos", image_size=8, streaming=True)).train
pieces = Pieces(train, InTurn(4, 4), np.arange(4), range(1), None)
with shown_to_user():
    list(pieces.batches(1))
"""


def test_a_script_without_a_guard_is_named(tmp_path):
    write_folder(tmp_path / "photos", 30)
    (tmp_path / "noguard.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "noguard.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout.splitlines() == ["trains"]
    assert "noguard.py trains whenever it is imported" in done.stderr
    assert '    if __name__ == "__main__":\n        main(recipe)\n' in done.stderr
    assert "Traceback" not in done.stderr


def test_every_start_of_a_training_looks_whether_it_is_imported(monkeypatch, tiny, tmp_path):
    import multiprocessing

    import cnn_jax
    from cnn_jax.data import main_guard

    class Ended(Exception):
        pass

    def end(status):
        raise Ended(status)

    monkeypatch.setattr(main_guard.os, "_exit", end)
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    for start in (
        lambda: cnn_jax.main(tiny, []),
        lambda: cnn_jax.train(tiny, tmp_path),
        lambda: cnn_jax.train_seeds(tiny, tmp_path, 2),
    ):
        try:
            start()
        except Ended as ended:
            assert ended.args == (main_guard.UNGUARDED,)
        else:
            raise AssertionError("it trains")
