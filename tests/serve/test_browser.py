"""The page in a real browser, without a display: dropped, chosen by keyboard, typed, refused."""

import base64
import shutil

import numpy as np
import pytest
from asked import serving
from sound_sets import whistle, write
from test_told import encoded

from cnn_jax.report.page.page import page_of
from cnn_jax.serve.limits import MOST_BYTES
from cnn_jax.serve.section import alone, try_section
from cnn_jax.serve.server import Served
from cnn_jax.serve.told import Teller

pytestmark = pytest.mark.slow
DROP = """([name, held]) => {
  const bytes = Uint8Array.from(atob(held), (sign) => sign.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const how = {dataTransfer: transfer, bubbles: true, cancelable: true};
    document.body.dispatchEvent(new DragEvent(kind, how));
  }
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as driver:
        # The sandbox needs rights that root in a container lacks; only our own page is opened.
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


def alone_of(section):
    return alone("A <model>", section)


class Looked:
    """A page of a model, and what the browser said of it."""

    def __init__(self, browser, restored, width=1280, scheme="light", page_of=alone_of):
        self.teller = Teller(restored, 5)
        page = page_of(try_section(self.teller))
        tell = lambda name, content: self.teller(name, content).to_json()  # noqa: E731
        self._serving = serving(Served(page, tell, MOST_BYTES[self.teller.kind]))
        self.errors = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def __enter__(self):
        self.page.goto(self._serving.__enter__().address)
        return self

    def __exit__(self, *why):
        self.page.close()
        self._serving.__exit__(*why)

    def drop(self, name, content):
        self.page.evaluate(DROP, [name, base64.b64encode(content).decode()])

    def answer(self, tmp_path):
        """What is shown, once it is."""
        self.page.wait_for_selector("#try-answer:not([hidden])")
        self.page.screenshot(path=tmp_path / "answer.png", full_page=True)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0
        assert not self.errors
        images = self.page.locator("#try img").all()
        for each in images:
            each.evaluate("(image) => image.decode()")  # which fails of what is no picture
            assert each.get_attribute("alt")
        return self.page.inner_text("#try-answer")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_picture_is_dropped(browser, restored, digit, tmp_path, width, scheme):
    with Looked(browser, restored, width, scheme) as looked:
        looked.drop(digit.name, digit.read_bytes())
        shown = looked.answer(tmp_path)
        row = looked.teller("", digit.read_bytes()).tables[0].rows[0]
        assert digit.name in shown and row.text in shown and "Grad-CAM" in shown
        assert looked.page.inner_text("#try-status") == f"Told: {row.name} {row.text}."
        assert looked.page.locator("#try-answer img").count() == 2
        assert looked.page.inner_text("h1") == "A <model>"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_picture_is_dropped_on_the_report(browser, run, restored, digit, tmp_path, width, scheme):
    pytest.importorskip("vl_convert", reason="the libraries of reports are not installed")

    def report(section):
        return page_of(run, extra_section=section)

    with Looked(browser, restored, width, scheme, report) as looked:
        looked.drop(digit.name, digit.read_bytes())
        assert digit.name in looked.answer(tmp_path)
        looked.page.wait_for_selector("#curves svg")  # its own scripts run as well
        assert looked.page.locator("#results").count() == 1


def test_a_picture_is_chosen_by_keyboard(browser, restored, digit, tmp_path):
    with Looked(browser, restored) as looked:
        looked.page.keyboard.press("Tab")
        assert looked.page.evaluate("document.activeElement.id") == "try-file"
        with looked.page.expect_file_chooser() as chooser:
            looked.page.keyboard.press("Space")
        chooser.value.set_files(digit)
        assert digit.name in looked.answer(tmp_path)


def test_what_cannot_be_read_is_said(browser, restored, digit, tmp_path):
    with Looked(browser, restored) as looked:
        looked.drop("a.png", digit.read_bytes())
        looked.answer(tmp_path)
        looked.drop("<b>words.png", b"words")
        error = looked.page.wait_for_selector("#try-error:has-text('words.png')")
        says = "<b>words.png: is not a JPEG, PNG, BMP, WebP or TIFF image"
        assert error.inner_text() == says and error.get_attribute("role") == "alert"
        assert looked.page.is_hidden("#try-answer")
        # Nothing is sent that would be refused for its size.
        large = {"name": "l.png", "mimeType": "image/png", "buffer": bytes(MOST_BYTES["image"] + 1)}
        looked.page.set_input_files("#try-file", large)
        looked.page.wait_for_selector("#try-error:has-text('l.png: has 33,554,433 bytes')")
        # And it goes on.
        looked.drop("b.png", digit.read_bytes())
        looked.page.wait_for_selector("caption:has-text('b.png')")
        assert looked.page.inner_text("#try-error") == ""


@pytest.mark.parametrize("width", [390, 1280])
def test_a_text_is_typed(browser, of_texts, tmp_path, width):
    with Looked(browser, of_texts, width) as looked:
        looked.page.keyboard.press("Tab")
        looked.page.keyboard.type("the plot is great")
        looked.page.keyboard.press("Control+Enter")
        shown = looked.answer(tmp_path)
        assert "the plot is great" in shown and "HiResCAM" in shown
        assert looked.page.locator(".try-words span").count() == 4
        looked.page.fill("#try-text", "  ")
        looked.page.keyboard.press("Tab")
        looked.page.keyboard.press("Enter")
        looked.page.wait_for_selector("#try-error:has-text('there is no text')")


@pytest.mark.parametrize("width", [390, 1280])
def test_masks_boxes_series_and_sounds_are_shown(
    browser, of_masks, of_boxes, of_series, of_sounds, tmp_path, width
):
    random = np.random.default_rng(0)
    photo = encoded(random.integers(0, 256, (40, 60, 3), np.uint8))
    line = "?\t" + "\t".join(map(str, random.normal(0, 1, 10).round(3)))
    sound = write(tmp_path / "a.wav", whistle("high", 0.5, seed=5)).read_bytes()
    for place, (restored, name, content, says) in enumerate(
        (
            (of_masks, "a.png", photo, "the mask over the picture"),
            (of_boxes, "a.png", photo, "There is no attention map"),
            (of_series, "a.tsv", f"{line}\n{line}".encode(), "a.tsv:2"),
            (of_sounds, "a.wav", sound, "Grad-CAM"),
        )
    ):
        with Looked(browser, restored, width) as looked:
            looked.drop(name, content)
            (tmp_path / str(place)).mkdir()
            assert says in looked.answer(tmp_path / str(place))
