"""What a browser may do with a page: run its own scripts, and no others."""

from __future__ import annotations

import base64
import functools
import hashlib
from html.parser import HTMLParser


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: list[str] = []
        self._within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag == "script"
        if self._within:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self.texts[-1] += data


@functools.lru_cache(maxsize=2)
def policy_of(page: str) -> str:
    """The content security policy of a page that holds all that it needs.

    Scripts are those that stand in it, by their SHA-256. Pictures are held in the page, and what is
    asked for is asked of where it came from.

    Args:
      page: HTML.
    """
    found = _Scripts()
    found.feed(page)
    found.close()
    digests = dict.fromkeys(
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found.texts
    )
    scripts = " ".join(f"'sha256-{each}'" for each in digests) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "font-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
