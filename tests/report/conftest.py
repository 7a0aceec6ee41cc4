"""A report of two machines with names that are markup, and a browser to open it in."""

import shutil
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from skasd.detectors import TWFRDetector
from skasd.report import write_report

RATE = 16000
HOSTILE = "<img src=x onerror=alert(1)>.wav"
CLOSING = "a</script><script>alert(2)</script>.wav"
MACHINES = ("press & <b>saw</b>", "pump")


class Report(NamedTuple):
    """A page with what it was made of."""

    file: object
    detector: object
    table: pd.DataFrame
    normal: pd.DataFrame


def clips(n_clips, pitch, rng, machine, seconds=2.0):
    """Hums of a machine in noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    hums = [0.1 * np.sin(2 * np.pi * pitch * time + phase) for phase in rng.uniform(0, 6, n_clips)]
    waveforms = [hum + 0.02 * rng.standard_normal(len(time)) for hum in hums]
    return pd.DataFrame({"waveform": waveforms, "machine_type": machine})


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The report of ten clips: one of the press rattles from 1.2 to 1.5 s, another one is not usable."""
    rng = np.random.default_rng(0)
    pitches = dict(zip(MACHINES, (400, 900), strict=True))
    normal = pd.concat([clips(12, pitch, rng, name) for name, pitch in pitches.items()], ignore_index=True)
    table = pd.concat([clips(5, pitch, rng, name) for name, pitch in pitches.items()], ignore_index=True)
    rattle = slice(int(1.2 * RATE), int(1.5 * RATE))
    table["waveform"].iloc[0][rattle] += 0.4 * np.sin(2 * np.pi * 3000 * np.arange(rattle.stop - rattle.start) / RATE)
    table["waveform"].iloc[1][5] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = TWFRDetector().fit(normal)
        names = [HOSTILE, "not usable <i>.wav", CLOSING, *(f"clip {number}.wav" for number in range(3, 10))]
        file = tmp_path_factory.mktemp("report") / "report.html"
        write_report(detector, table, file, normal=normal, names=names, on_error="skip", title="Hall <u>2</u>")
    return Report(file, detector, table, normal)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, or a skip with the reason."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.chrome.service.Service(driver))
    yield found
    found.quit()
