"""Views of a user's own in a report."""

import textwrap

import numpy as np
import pytest

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.report.page.described import Asked, described
from cnn_jax.report.page.page import page
from cnn_jax.report.page.views import view_named

pytestmark = pytest.mark.usefixtures("quick")

OWN = '''
    import numpy as np
    from PIL import Image


    def table(run):
        """How many are told of each class.

        More of it."""
        told = run.predictions["test"].predicted().values()["told"]
        counts = np.bincount(told, minlength=len(run.class_names))
        rate = run.recipe["optimizer.learning_rate"]
        return f"<p class='mine'>{counts.tolist()} at {rate}</p>"


    def picture(run):
        return Image.new("L", (30, 20), len(run.lines))


    def array(run):
        return np.full((20, 30, 3), 7, np.uint8)


    def wrong(run):
        return np.zeros(3)


    def broken(run):
        return run.summary["nothing"]


    NUMBER = 3
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    found = tmp_path_factory.mktemp("own") / "mine.py"
    found.write_text(textwrap.dedent(OWN))
    return found


def seen(run, file, *names):
    return described(run, Asked(views=[view_named(f"{file}:{name}") for name in names]))


def test_html_and_pictures_stand_in_the_page(run, file):
    found = seen(run, file, "table", "picture", "array")
    assert [each.title for each in found.views] == [
        "How many are told of each class",
        "picture",
        "array",
    ]
    text = page(found)
    told = found.results[0].predictions.predicted().values()["told"]
    assert f"<p class='mine'>{np.bincount(told, minlength=3).tolist()} at 0.01</p>" in text
    assert [(each.picture.width, each.picture.height) for each in found.views[1:]] == [(30, 20)] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong", r"wrong gives an array \(3,\) of float64; valid are HTML"),
        ("broken", "broken fails: KeyError: 'nothing'"),
    ],
)
def test_views_that_fail_are_named(run, file, name, message):
    with pytest.raises(UserError, match=message):
        seen(run, file, name)


def test_names_that_are_none_are_told(file):
    with pytest.raises(UserError, match="did you mean 'table'"):
        view_named(f"{file}:tabel")
    with pytest.raises(UserError, match=r"but .*elsewhere\.py is not there"):
        view_named(f"{file.parent}/elsewhere.py:table")
    with pytest.raises(UserError, match="is no function of a run"):
        view_named(f"{file}:NUMBER")


def test_nothing_is_written_where_a_view_fails(run, file, tmp_path, capsys):
    out = tmp_path / "out.html"
    with pytest.raises(SystemExit):
        main(["report", str(run), "--output", str(out), "--view", f"{file}:broken"])
    assert "broken fails" in capsys.readouterr().err and not out.exists()
