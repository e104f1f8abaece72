"""Reports in a real browser without a display: Chromium, which is told by a script what to do."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from cnn_jax.report.page.comparison import compared, comparison_page
from cnn_jax.report.page.described import Asked, described
from cnn_jax.report.page.page import page

BROWSER = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium is found; CHROMIUM may say where one is"
    ),
]

# Before the page's own scripts: what goes wrong is written down.
WATCH = """<script>
window.wrong = [];
addEventListener("error", (event) => wrong.push(String(event.message)));
addEventListener("unhandledrejection", (event) => wrong.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => wrong.push("loads " + event.blockedURI));
const shown = console.error;
console.error = (...words) => { wrong.push(words.join(" ")); shown(...words); };
</script>"""
# After them: what is asked, and what came of it.
ASK = """<script>
addEventListener("load", () => setTimeout(() => {
  const found = (() => { %s })();
  const told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify({
    found, wrong,
    drawn: document.querySelectorAll(".plot.drawn svg").length,
    plots: document.querySelectorAll(".plot").length,
    wide: document.documentElement.scrollWidth - window.innerWidth,
    width: window.innerWidth,
  });
  parent.document.body.append(told);
}, 1500));
</script>"""


def browse(tmp_path, *words):
    """Runs the browser; gives what it prints."""
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", *words,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout


def asked(text, tmp_path, script="return null", width=1280, *flags):
    """What a script finds in a page, in a window of this width."""
    file = tmp_path / "page.html"
    text = text.replace("<style>", WATCH + "<style>", 1)
    before, _, after = text.rpartition("</body>")
    # A window is no narrower than 500 pixels, but a frame within it may be.
    inside = html.escape(f"{before}{ASK % script}</body>{after}")
    frame = f'<iframe width="{width}" height="900" style="border: 0" srcdoc="{inside}"></iframe>'
    file.write_text(f'<meta charset="utf-8"><body>{frame}', encoding="utf-8")
    dom = browse(
        tmp_path, "--window-size=1300,1000", "--virtual-time-budget=20000", "--dump-dom",
        *flags, file.as_uri(),
    )  # fmt: skip
    told = json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', dom, re.S)[1]))
    assert told["wrong"] == [], told["wrong"]
    assert told["width"] == width and told["drawn"] == told["plots"] > 0
    return told


@pytest.fixture(scope="module")
def text(run):
    return page(described(run, Asked(split="test")))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)])
def test_charts_are_drawn_and_nothing_goes_wrong(text, tmp_path, width, flags):
    told = asked(text, tmp_path, "return getComputedStyle(document.body).color", width, *flags)
    assert told["wide"] <= 0, told
    dark = bool(flags)
    assert (min(map(int, re.findall(r"\d+", told["found"]))) > 128) == dark


def test_it_is_small_enough(text):
    assert len(text.encode()) < 5_000_000


def test_a_click_sorts_by_a_column_and_another_turns_it_round(text, tmp_path):
    script = """
      const table = document.querySelector("table.sortable");
      const heads = [...table.tHead.rows[0].cells];
      const place = heads.findIndex((head) => head.textContent.trim() === "recall");
      const column = (at) => [...table.tBodies[0].rows].map((row) => row.cells[at].textContent);
      const seen = [];
      for (let turn = 0; turn < 2; turn++) {
        heads[place].querySelector("button").click();
        seen.push([heads[place].getAttribute("aria-sort"), column(place).map(parseFloat)]);
      }
      heads[0].querySelector("button").click();
      seen.push([heads[place].getAttribute("aria-sort"), column(0)]);
      return seen;
    """
    (down, falling), (up, rising), (left, names) = asked(text, tmp_path, script)["found"]
    assert (down, up, left) == ("descending", "ascending", None)
    assert falling == sorted(falling, reverse=True) and rising == sorted(falling)
    assert len(set(falling)) > 1 and len(names) == 3


def test_mistakes_are_filtered_by_both_classes(text, tmp_path):
    script = """
      const form = document.querySelector("form.filter");
      const cells = [...document.querySelectorAll("#gallery figure")];
      const pair = (cell) => [cell.dataset.true, cell.dataset.told];
      const shown = () => cells.filter((cell) => cell.checkVisibility()).map(pair);
      const button = document.querySelector("table.matrix button");
      const seen = [shown()];
      button.click();
      seen.push(shown(), form.querySelector("output").textContent, pair(button));
      seen.push(document.activeElement.id);
      form.elements.told.value = "";
      form.dispatchEvent(new Event("change"));
      seen.push(shown());
      return seen;
    """
    every, pair, said, wanted, focus, one = asked(text, tmp_path, script)["found"]
    as_lists = [[json.loads(side)[0] for side in cell] for cell in pair]
    assert as_lists == [wanted] * len(pair) and 0 < len(pair) < len(every)
    assert said == f"{len(pair)} shown" and focus == "gallery-head"
    expected = [cell for cell in every if json.loads(cell[0]) == [wanted[0]]]
    assert one == expected


def test_several_runs_are_drawn_as_well(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for name in ("recipe.json", "summary.json"):
        stored = json.loads((other / name).read_text())
        (stored if name == "recipe.json" else stored["recipe"])["seed"] = 7
        (other / name).write_text(json.dumps(stored))
    for width in (1280, 390):
        told = asked(comparison_page(compared([run, other])), tmp_path, width=width)
        assert told["wide"] <= 0


def test_it_is_printed_on_pages(text, tmp_path):
    file, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(text, encoding="utf-8")
    browse(tmp_path, "--virtual-time-budget=20000", f"--print-to-pdf={pdf}", file.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert 2 < pages < 20
