"""README.md with absolute links, for the page of the package on PyPI, which has no files beside it.

    python docs/readme.py DOCUMENTATION REPOSITORY > README-pypi.md

takes the addresses of the site that is built from this folder, and of the repository, below which files are served as they
are. A link to a page of docs leads to the site, any other to the repository.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def absolute(text: str, documentation: str, repository: str) -> str:
    """Markdown in which every link to a file begins with one of the two addresses."""

    def replaced(match: re.Match[str]) -> str:
        path = match[2]
        if path.startswith("docs/") and path.endswith(".rst"):
            return f"{match[1]}({documentation.rstrip('/')}/{path.removeprefix('docs/').removesuffix('.rst')}.html"
        return f"{match[1]}({repository.rstrip('/')}/{path}"

    return re.sub(r"(\])\((?!https?:|#)([^)#\s]+)", replaced, text)


if __name__ == "__main__":
    sys.stdout.write(absolute(README.read_text(encoding="utf-8"), *sys.argv[1:3]))
