"""What pages are made with: Jinja's templates, and Vega-Lite as a script that needs no network."""

from __future__ import annotations

import functools
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_jax.devices.user_cache import user_cache
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    import jinja2

_SNIPPET = "window.drawChart = (place, spec, options) => vegaEmbed(place, spec, options);"
"""What the script gives to a page; the interpreter of vega-embed takes the place of `eval`."""


def check_libraries() -> None:
    """Refuses to go on without the libraries.

    Raises:
      UserError: one is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"reports are written with Jinja and Vega-Lite, of which {error.name} is not "
            "installed: pip install 'cnn-jax[report]'"
        ) from None


@functools.cache
def templates() -> jinja2.Environment:
    """The templates that lie beside this file; what is put into HTML is escaped.

    Raises:
      UserError: Jinja is not installed.
    """
    check_libraries()
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(["html", "svg"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["count"] = lambda value: f"{value:,}"
    return made


@functools.cache
def chart_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which can stand inside a page.

    Bundling takes seconds, so the script is kept in the user's cache, by the library's version.

    Raises:
      UserError: vl-convert is not installed.
    """
    check_libraries()
    import vl_convert

    kept = user_cache() / "report" / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        # Nothing is lost where it cannot be kept: it is bundled anew.
        script = str(vl_convert.javascript_bundle(_SNIPPET)).replace("</script", r"<\/script")
        _keep(script, kept)
        return script


def _keep(script: str, file: Path) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(script, encoding="utf-8")
        partial.replace(file)
    except OSError:
        return
