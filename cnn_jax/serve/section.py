"""The part of a page in which own inputs are tried, and a page that holds it alone."""

from __future__ import annotations

import html
from pathlib import Path

from cnn_jax.serve.limits import MOST_BYTES, MOST_PIXELS, MOST_SECONDS, MOST_SERIES
from cnn_jax.serve.told import Teller

_HERE = Path(__file__).parent
_WORDS = {
    "image": (
        "picture",
        f"PNG, JPEG, BMP, WebP or TIFF, up to {{size}} and {MOST_PIXELS // 10**6} million pixels",
    ),
    "sound": (
        "sound",
        f"WAV, FLAC, OGG or another sound, up to {{size}} and {MOST_SECONDS // 60} minutes",
    ),
    "series": (
        "file of series",
        f"such as the run was trained on, up to {{size}} and {MOST_SERIES} series",
    ),
}


def try_section(teller: Teller) -> str:
    """The part of a page in which inputs of one's own are tried, with its script and style.

    Args:
      teller: of the model, by whose inputs it asks for files or for a text.
    """
    kind, most = teller.kind, MOST_BYTES[teller.kind]
    if kind == "tokens":
        title, ask = "Try a text", _asks_text()
    else:
        what, limits = _WORDS[kind]
        size = f"{most >> 20} MB"
        title, ask = f"Try a {what}", _asks_file(what, limits.format(size=size), teller.accepts)
    return f"""<section id="try" data-most="{most}" aria-labelledby="try-title">
<style>
{_read("try.css")}</style>
<h2 id="try-title">{title}</h2>
{ask}
<p class="try-note">It stays on this machine, and is not kept.</p>
<p id="try-status" role="status"></p>
<p id="try-error" role="alert"></p>
<div id="try-answer" tabindex="-1" hidden></div>
<script>
{_read("try.js")}</script>
</section>
"""


def alone(title: str, section: str) -> str:
    """A page that holds nothing else.

    Args:
      title: of the page.
      section: as of `try_section`.
    """
    name = html.escape(title)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<link rel="icon" href="data:,">
<style>
{_read("alone.css")}</style>
</head>
<body>
<main>
<h1>{name}</h1>
{section}</main>
</body>
</html>
"""


def without_trying(why: str) -> str:
    """The part of a page that says why nothing can be tried."""
    return (
        '<section id="try" aria-labelledby="try-title"><h2 id="try-title">Try it</h2>'
        f"<p>{html.escape(why)}</p></section>\n"
    )


def _asks_file(what: str, limits: str, accepts: str) -> str:
    return f"""<div id="try-drop">
<label for="try-file">Drop a {what} here, or choose one</label>
<input id="try-file" type="file" accept="{html.escape(accepts)}" aria-describedby="try-limits">
<p id="try-limits" class="try-note">{limits}</p>
</div>"""


def _asks_text() -> str:
    return """<form id="try-form">
<label for="try-text">A text</label>
<textarea id="try-text" rows="4" aria-describedby="try-keys"></textarea>
<p id="try-keys" class="try-note">Ctrl and Enter tell it too.</p>
<button type="submit">Tell</button>
</form>"""


def _read(name: str) -> str:
    return (_HERE / "parts" / name).read_text(encoding="utf-8")
