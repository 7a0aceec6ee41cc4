"""Code blocks of pages: where they stand, and in which language they are."""

import doctest
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("docs/*.rst")),
    *sorted(ROOT.glob("docs/user_guide/**/*.rst")),
    *sorted(ROOT.glob("examples/**/*.rst")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
_RST = re.compile(r"^( *)\.\. code-block:: *(\w*)\n((?:\1 +\S.*\n|\s*\n)+)", re.MULTILINE)
_MARKDOWN = re.compile(r"^()```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CRON = re.compile(r"^[\d*/ ]{9,}  (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """Code on a page."""

    line: int
    language: str
    text: str


def name_of(page):
    """Path of a page below the checkout."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page):
    """Code blocks of a page, in order; a line of a crontab is a block of bash without its times."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in (_MARKDOWN if page.suffix == ".md" else _RST).finditer(text):
        code, language = textwrap.dedent(match[3]).strip("\n") + "\n", match[2]
        if language == "text" and _CRON.match(code):
            code, language = _CRON.sub(r"\1", code), "bash"
        found.append(Block(text[: match.start(3)].count("\n") + 1, language, code))
    return found


def examples_of(page):
    """Doctests of a page that raise nothing, for the names that they make. What they print, pytest compares."""
    return [
        Block(example.lineno + 1, "doctest", example.source)
        for example in doctest.DocTestParser().get_examples(page.read_text(encoding="utf-8"))
        if not example.exc_msg
    ]


def commands_of(text):
    """Lines of a shell block without comments and empty lines."""
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
