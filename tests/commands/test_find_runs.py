"""Runs are found wherever they lie."""

import json

from cnn_jax.__main__ import main
from cnn_jax.commands.run_list import find_runs


def run(path):
    path.mkdir(parents=True)
    (path / "recipe.json").write_text("{}")
    (path / "checkpoints" / "7").mkdir(parents=True)


def test_runs_behind_links_are_found_once_and_loops_end(tmp_path):
    top, other = tmp_path / "runs", tmp_path / "big_disk"
    run(top / "a")
    run(top / "seeds" / "seed-0")
    run(other / "b")
    run(other / "c")
    (top / "disk").symlink_to(other)
    (top / "again").symlink_to(top / "a")
    (top / "loop").symlink_to(top)
    (other / "up").symlink_to(tmp_path)
    (top / "broken").symlink_to(tmp_path / "nowhere")
    found = [str(path.relative_to(top)) for path in find_runs(top)]
    assert found == ["a", "disk/b", "disk/c", "seeds/seed-0"]
    (tmp_path / "link").symlink_to(top)
    assert len(find_runs(tmp_path / "link")) == 4
    assert find_runs(top / "a") == [top / "a"]


def test_a_run_that_cannot_be_read_ends_nothing(tmp_path, capsys):
    run(tmp_path / "caf\udce9 [x] :cat:")
    main(["runs", str(tmp_path)])
    assert r"caf\xe9 [x] :cat:  " in capsys.readouterr().out
    main(["runs", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)[0]["run"].endswith("caf\udce9 [x] :cat:")
