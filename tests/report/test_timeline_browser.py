"""The page about watched machines in a browser: players, sorting, and the way from a time line to a row."""

import pytest

from tests.report.test_browser import all_of, audio, metrics, one, opened, until
from tests.report.test_timeline import timeline  # noqa: F401 - a fixture


@pytest.fixture
def page(browser, timeline):  # noqa: F811
    yield from opened(browser, timeline)


def test_an_episode_in_the_time_line_leads_to_its_row_which_plays(page):
    link = one(page, "a[href='#episode-1']")
    page.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))", link)
    assert one(page, "#episode-1 .open").get_attribute("aria-expanded") == "true"
    assert page.execute_script("return document.activeElement.className") == "open"
    one(page, ".plot.spectrogram").click()
    until(lambda: audio(page, "currentTime") > 30.2)
    assert len(all_of(page, ".sound")) == 1
    assert all_of(page, ".panel .map") == []


def test_episodes_are_sorted_and_filtered(page):
    def shown():
        return [row.get_attribute("id") for row in all_of(page, "tr.clip:not([hidden])")]

    assert shown() == ["episode-2", "episode-3", "episode-1"]  # the last one first
    one(page, "[data-sort='excess']").click()
    assert shown() == ["episode-1", "episode-2", "episode-3"]
    one(page, "[data-sort='seconds']").click()
    assert shown() == ["episode-1", "episode-3", "episode-2"]  # that goes on is the longest
    page.execute_script(
        "arguments[0].value = 'pump'; arguments[0].form.dispatchEvent(new Event('input'))", one(page, "#machine")
    )
    assert shown() == ["episode-3"]
    assert one(page, "#shown").text == "1 of 3 episodes"


@pytest.mark.parametrize("width", [390, 820, 1400])
def test_nothing_is_wider_than_the_window(page, width):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(width))
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    wide = "return [...document.querySelectorAll('section')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.execute_script(wide) == 0
