"""What the documents hold: commands, code, links, names."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PROGRAMS = re.compile(r"^(cnn-jax|make|python)\s+\S")


class Command(NamedTuple):
    """A command as it stands in a page.

    Attributes:
      page: the file.
      text: without what stands before it in the environment, and without where it writes to.
      words: of the text.
      comment: beside it, or in a line of its own before it.
    """

    page: str
    text: str
    words: tuple[str, ...]
    comment: str


def blocks(page, language):
    """The fenced blocks of a language."""
    return [body for name, body in _FENCE.findall(page.read_text()) if name == language]


def prose(page):
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def inline_code(page):
    """What stands between backticks, in one line each."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def links(page):
    """Where the links and pictures of a page lead."""
    return _LINK.findall(_FENCE.sub("", page.read_text()))


def anchors(page):
    """The names that the headings of a page have in links."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fenced_commands(page):
    """The commands of the shell blocks of a page."""
    found = []
    for body in blocks(page, "bash"):
        before = ""
        for line in body.replace("\\\n", " ").splitlines():
            code, comment = _without_comment(line)
            if code.strip():
                found += _commands(page, code, f"{before} {comment}".strip())
                before = ""
            else:
                before = f"{before} {comment}".strip()
    return found


def inline_commands(page):
    """The commands that stand in the text of a page."""
    return [
        command
        for code in inline_code(page)
        if _PROGRAMS.match(code)
        for command in _commands(page, code, "")
    ]


def _without_comment(line):
    quote = None
    for place, sign in enumerate(line):
        if quote:
            quote = None if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place], line[place + 1 :].strip()
    return line, ""


def _commands(page, code, comment):
    lexer = shlex.shlex(code, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    parts, words = [[]], list(lexer)
    while words:
        word = words.pop(0)
        if word in (">", ">>", "<"):
            words.pop(0)
        elif re.fullmatch(r"[|&;]+", word):
            parts.append([])
        else:
            parts[-1].append(word)
    found = []
    for part in parts:
        while part and re.match(r"[A-Z_]+=", part[0]):
            part = part[1:]
        if part:
            found.append(Command(page.name, shlex.join(part), tuple(part), comment))
    return found
