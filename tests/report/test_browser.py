"""The page in a browser: players, pictures, sorting, filters, keys; nothing runs but its own script, nothing leaves it."""

import json
import time

import numpy as np
import pytest

from skasd.detectors import TWFRDetector
from skasd.persistence._description import description
from skasd.report._details import Detail, Figure
from skasd.report._explanations import Explanation
from skasd.report._groups import Group, Scores
from skasd.report._page import Content
from skasd.report._page import page as page_of
from skasd.report._sound import Sound
from tests.report.conftest import CLOSING, HOSTILE, MACHINES, RATE

N_CLIPS = 9  # that can be used


@pytest.fixture
def page(browser, report):
    yield from opened(browser, report.file)


def opened(browser, file):
    """A page, opened; afterwards there must be no error in the console, and no request to anywhere."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(1400))
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(file.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("file:", "blob:", "data:"))] == []


def metrics(width):
    return {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}


def all_of(page, selector):
    return page.find_elements("css selector", selector)


def one(page, selector):
    return page.find_element("css selector", selector)


def until(condition, seconds=5.0):
    """The first value of the condition that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.02)
    return value


def audio(page, what):
    return page.execute_script(f"return document.querySelector('audio').{what}")


def names(page):
    return [button.text for button in all_of(page, "tr.clip:not([hidden]) .open")]


def choose(page, name, value):
    """Set the value of a field, as a user does."""
    change = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    page.execute_script(change, one(page, f"#{name}"), value)


def test_a_clip_plays_and_the_cursor_follows(page):
    one(page, ".open").click()
    one(page, ".plot.spectrogram").click()  # its middle
    until(lambda: audio(page, "currentTime") > 1.2)
    page.execute_script("document.querySelector('audio').pause()")
    until(lambda: audio(page, "paused"))
    time.sleep(0.1)
    share = 100 * audio(page, "currentTime") / 2.0
    places = page.execute_script(
        "return [...document.querySelectorAll('.sound:first-child .cursor')].map(e => parseFloat(e.style.left))"
    )
    assert places == pytest.approx([share, share], abs=2.0)
    assert audio(page, "duration") == pytest.approx(2.0, abs=0.01)


def test_a_click_on_a_region_plays_it_to_its_end(page):
    one(page, ".open").click()
    region = page.execute_script("return figures[Number(rows[0].dataset.figure)].regions[0]")
    assert 1.0 < region["start"] < 1.4 < region["end"] < 1.7  # where it rattles
    one(page, ".map .box").click()
    assert audio(page, "currentTime") >= region["start"] - 0.4
    until(lambda: audio(page, "paused"))
    assert audio(page, "currentTime") == pytest.approx(region["end"], abs=0.4)
    page.execute_script("document.querySelector('audio').currentTime = 0")
    one(page, ".regions button").click()
    until(lambda: audio(page, "currentTime") > region["start"] - 0.4)


def test_the_nearest_normal_clip_is_beside_it(page):
    one(page, ".open").click()
    what, name = one(page, ".sound:nth-child(2) .what").text, one(page, ".sound:nth-child(2) .name").text
    assert what == "Nearest normal clip"
    assert name.startswith("clip ")
    sounds = "return [...document.querySelectorAll('audio')]"
    for number in (0, 1):
        one(page, f".sound:nth-child({number + 1}) .plot").click()
        until(lambda: page.execute_script(f"{sounds}[{number}].currentTime") > 1.1)  # noqa: B023 - it is called at once
    assert page.execute_script(f"{sounds}.map(each => each.paused)") == [True, False]  # one at a time


def test_pictures_are_shown(page):
    one(page, ".open").click()
    sizes = "return [...document.querySelectorAll('.plot img')].map(each => each.naturalWidth * each.naturalHeight)"
    until(lambda: all(size > 1000 for size in page.execute_script(sizes)))
    assert len(page.execute_script(sizes)) == 3


def test_a_click_on_a_heading_sorts(page):
    heading = one(page, "[data-sort=name]")
    for reverse in (False, True):
        heading.click()
        numbered = [name for name in names(page) if name.startswith("clip")]
        assert numbered == sorted(numbered, reverse=reverse)
    one(page, "[data-sort=excess]").click()
    excess = [float(row.get_attribute("data-excess")) for row in all_of(page, "tr.clip")]
    assert excess == sorted(excess, reverse=True)
    assert one(page, "th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_an_open_clip_stays_below_its_row_when_sorted(page):
    all_of(page, ".open")[2].click()
    name = names(page)[2]
    one(page, "[data-sort=name]").click()
    assert one(page, "tr.clip:has(+ .panel) .open").text == name


def test_filters_hide_rows(page):
    one(page, "#find").send_keys("7.WAV clip")
    assert names(page) == ["clip 7.wav"]
    assert one(page, "#shown").text == f"1 of {N_CLIPS} clips"
    choose(page, "find", "")
    for value, count in zip(MACHINES, (4, 5), strict=True):
        choose(page, "machine", value)
        assert len(names(page)) == count
    choose(page, "machine", "")
    choose(page, "decision", "anomaly")
    assert names(page)[0] == HOSTILE
    assert all(row.get_attribute("data-decision") == "anomaly" for row in all_of(page, "tr.clip:not([hidden])"))


def test_names_never_become_markup(page):
    assert names(page)[0] == HOSTILE
    one(page, ".open").click()
    assert one(page, ".sound .name").text == HOSTILE
    assert one(page, "h1").text == "Hall <u>2</u>"
    assert CLOSING in page.execute_script("return figures.map(each => each.name)")
    assert page.execute_script("return document.querySelectorAll('[src=x], main b b, main i, h1 u').length") == 0
    assert one(page, ".reasons").text.startswith("not usable <i>.wav holds NaN")


def test_injected_markup_would_not_run(page):
    markup = '<img src="data:x" onerror="window.ran = 1">'
    page.execute_script("document.body.insertAdjacentHTML('beforeend', arguments[0])", markup)
    time.sleep(0.1)
    assert page.execute_script("return window.ran === undefined")
    refused = page.get_log("browser")
    assert any("Content Security Policy" in entry["message"] for entry in refused), refused


def test_keys_do_what_clicks_do(page):
    from selenium.webdriver.common.keys import Keys

    one(page, "#decision").send_keys(Keys.TAB)
    for _ in range(10):
        if page.switch_to.active_element.get_attribute("class") == "open":
            break
        page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert page.switch_to.active_element.text == names(page)[1]
    page.switch_to.active_element.send_keys(Keys.ARROW_UP)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert one(page, ".open").get_attribute("aria-expanded") == "true"
    button = one(page, ".regions button")
    button.send_keys(Keys.ENTER)
    until(lambda: not audio(page, "paused"))
    button.send_keys(Keys.ESCAPE)
    assert all_of(page, ".panel") == []
    assert page.switch_to.active_element.text == names(page)[0]


@pytest.mark.parametrize("width", [320, 390, 820, 1400])
def test_the_page_fits_any_width(page, width):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics(width))
    one(page, ".open").click()
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def figures(n_clips, rng):
    """Clips of ten seconds of noise, each beside one of ten normal clips."""
    waveforms = 0.1 * rng.standard_normal((n_clips, 10 * RATE)).astype(np.float32)
    found = [Figure(f"{number}.wav", "", Sound.around(each, RATE), noise(rng)) for number, each in enumerate(waveforms)]
    for number, figure in enumerate(found[10:]):
        figure.anomaly, figure.nearest = noise(rng), found[number % 10]
        figure.regions = [{"start_s": 1.0, "end_s": 2.0, "low_hz": 500.0, "high_hz": 900.0, "sentence": "Louder."}]
    return found[10:]


def noise(rng):
    return rng.normal(-60, 10, (80, 320))


@pytest.mark.slow
def test_two_hundred_clips_are_there_in_two_seconds(browser, tmp_path):
    clips = figures(210, np.random.default_rng(0))
    names, score = [figure.name for figure in clips], np.linspace(2.0, 0.0, 200)
    group = Group(TWFRDetector(), None, names, [""] * 200, normal=())
    scores = Scores(score, np.ones(200), None, score > 1, {})
    shown = {place: Detail(Explanation(None), figure) for place, figure in enumerate(clips)}
    about = {**description(TWFRDetector()), "saved": None}
    file = tmp_path / "large.html"
    file.write_text(page_of(Content("Large", [group], [scores], [shown], [], about, "auto", -1)), encoding="utf-8")
    assert file.stat().st_size < 60 * 2**20
    start = time.monotonic()
    browser.get(file.as_uri())
    one(browser, ".open").click()
    until(lambda: audio(browser, "readyState") == 4)
    assert time.monotonic() - start < 2.0
    assert browser.execute_script("return rows.length") == 200
