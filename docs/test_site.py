"""The built documentation: every link within it leads somewhere, and the search finds first what a word is about.

python -m sphinx -W -b html docs docs/_build/html && pytest docs/test_site.py
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.report.conftest import browser  # noqa: F401  # a fixture

SITE = Path(__file__).parent / "_build" / "html"
ROOT = Path(__file__).parents[1]
NOT_PAGES = ("_static", "_sources", "_downloads")
FIRST = {
    "threshold": "user_guide/thresholds.html",
    "false alarm rate": "user_guide/thresholds.html",
    "ONNX": "user_guide/onnx.html",
    "pAUC": "user_guide/metrics.html",
    "early stopping": "user_guide/training.html",
    "learning period": "user_guide/monitoring.html",
    "hysteresis": "user_guide/monitoring.html",
    "p-value": "user_guide/p_values.html",
    "StatisticsDetector": "generated/objects/skasd.detectors.StatisticsDetector.html",
}
OTHERS = (
    "index.html",
    "auto_examples/index.html",
    "user_guide/which_detector.html",
    "generated/objects/skasd.detectors.ContrastiveSpectrumDetector.html",
)
pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the documentation is not built")


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, file):
        super().__init__()
        self.links, self.anchors = set(), {"", "top"}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)
            elif name == "srcset" and value:
                self.links |= {part.split()[0] for part in value.split(",")}


@cache
def page(file):
    return Page(file)


def pages():
    return [file for file in sorted(SITE.rglob("*.html")) if file.relative_to(SITE).parts[0] not in NOT_PAGES]


def broken(file):
    """Links of a page to files or anchors that are not there."""
    for link in sorted(page(file).links):
        if re.match(r"[a-z]+:|//", link):
            continue
        path, anchor = urldefrag(link)
        target = (file.parent / unquote(path.partition("?")[0])).resolve() if path else file
        is_there = target.is_file() and (target.suffix != ".html" or unquote(anchor) in page(target).anchors)
        if not is_there:
            yield f"{file.relative_to(SITE)}: {link}"


def test_every_link_leads_to_a_page_and_an_anchor():
    assert len(pages()) > 100
    assert [link for file in pages() for link in broken(file)] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_link_of_a_markdown_file_leads_to_a_file(name):
    links = re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).is_file()] == []


@pytest.mark.parametrize("word", FIRST)
def test_the_first_result_of_a_search_is_the_page_about_it(browser, word):  # noqa: F811
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{(SITE / 'search.html').as_uri()}?q={word.replace(' ', '+')}")
    found = WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))
    assert FIRST[word] in found[0].get_attribute("href")


def test_no_page_is_wider_than_a_phone(browser):  # noqa: F811
    widths = {}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    for name in sorted({*FIRST.values(), *OTHERS}):
        browser.get((SITE / name).as_uri())
        widths[name] = browser.execute_script(OVERFLOWING)
    assert {name: parts for name, parts in widths.items() if parts} == {}


OVERFLOWING = """
    const scrolls = e => e && !e.matches("article")
        && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) ? e : scrolls(e.parentElement));
    return [...document.querySelectorAll("article *")]
        .filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1
            && !scrolls(e.parentElement))
        .map(e => e.tagName + ": " + e.textContent.slice(0, 60)).slice(0, 5);
"""
