"""HTML of a page: one file with everything inside, in which nothing but its own script can run."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from skasd._version import __version__
from skasd.clips._files import printable
from skasd.monitoring._rate_text import rate_text

_HERE = Path(__file__).parent


def rendered(template: str, **values: Any) -> str:
    """A page with its style and its script.

    Parameters
    ----------
    template : str
        Name of the template, a file of this package that extends ``base.html``.
    **values : Any
        What it shows.
    """
    script, style = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = printable
    environment.filters["moment"] = moment
    environment.filters["rate"] = rate_text
    return environment.get_template(template).render(
        **values,
        made=moment(datetime.now(UTC)),
        version=__version__,
        script=Markup(script),  # a file of this package, as is the next
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def moment(time: datetime) -> str:
    """A time for readers, such as "3 May 2026, 14:05 UTC".

    Parameters
    ----------
    time : datetime
        Time in UTC.
    """
    return time.strftime("%d %B %Y, %H:%M UTC").lstrip("0")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
