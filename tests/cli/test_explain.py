"""`skasd explain`: its page, machines in subfolders, recordings that cannot be used, and exit statuses."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from tests.cli.running import skasd

HOSTILE = "<img src=x onerror=alert(1)>.wav"


def hum(frequency, rng):
    time = np.arange(8000) / 16000
    return 0.2 * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6)) + 0.02 * rng.standard_normal(8000)


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """Normal and new recordings of two machines, and a model of them."""
    root, rng = tmp_path_factory.mktemp("hall"), np.random.default_rng(0)
    for machine, frequency in (("Pumpe 7", 400), ("Lüfter", 3000)):
        for kind, n_clips in (("normal", 12), ("new", 2)):
            (root / kind / machine).mkdir(parents=True)
            for index in range(n_clips):
                soundfile.write(root / kind / machine / f"{index}.wav", hum(frequency, rng), 16000)
    soundfile.write(root / "new" / "Pumpe 7" / HOSTILE, hum(2500, rng), 16000)
    done = skasd("fit", root / "normal", "--out", root / "hall.skasd", "--detector", "twfr", "--quiet")
    assert done.returncode == 0, done.stderr
    return root


def rows_of(file):
    """Machine, name and decision of each row of the table."""
    rows = re.findall(r'<tr class="clip" (.*?)>\n', file.read_text(encoding="utf-8"))
    cells = [dict(re.findall(r'data-(\w+)="(.*?)"', row)) for row in rows]
    return [(cell["machine"], cell["name"], cell["decision"]) for cell in cells]


def figures_of(file):
    return json.loads(re.search(r'id="data">(.*?)</script>', file.read_text(encoding="utf-8"))[1])


def test_explain_writes_a_page_about_every_recording(hall, tmp_path):
    out = tmp_path / "new folder" / "report.html"
    done = skasd("explain", hall / "new", "--model", hall / "hall.skasd", "--out", out, "--title", "Night & day")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{out} was written: \d of 5 recordings are anomalies; \d\.\d MiB\.\n", done.stdout)
    rows = rows_of(out)
    assert rows[0] == ("Pumpe 7", "Pumpe 7/&lt;img src=x onerror=alert(1)&gt;.wav", "anomaly")
    assert {name for _, name, _ in rows[1:]} == {f"{m}/{i}.wav" for m in ("Pumpe 7", "Lüfter") for i in (0, 1)}
    text = out.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<h1>Night &amp; day</h1>" in text
    assert "Model file hall.skasd" in text
    assert text.count('<figure class="histogram">') == 2
    assert {figure["nearest"] for figure in figures_of(out)} == {None}
    assert "No known normal clips were given" in text


def test_decisions_are_those_of_skasd_score(hall, tmp_path):
    skasd("explain", hall / "new", "--model", hall / "hall.skasd", "--out", tmp_path / "report.html")
    done = skasd("score", hall / "new", "--model", hall / "hall.skasd")
    decisions = [line.split()[1] for line in done.stdout.splitlines()[1:]]
    assert [decision for _, _, decision in rows_of(tmp_path / "report.html")] == decisions


def test_the_nearest_normal_recording_is_of_the_same_machine(hall, tmp_path):
    arguments = ("--model", hall / "hall.skasd", "--out", tmp_path / "report.html", "--normal", hall / "normal")
    assert skasd("explain", hall / "new", *arguments).returncode == 0
    figures = figures_of(tmp_path / "report.html")
    pairs = [(each["name"], figures[each["nearest"]]["name"]) for each in figures if each["nearest"] is not None]
    assert len(pairs) == 5
    assert all(own.split("/")[0] == normal.split("/")[0] for own, normal in pairs)


def test_normal_recordings_of_no_machine_are_told(hall, tmp_path):
    soundfile.write(tmp_path / "loose.wav", np.ones(8000) * 0.1, 16000)
    given = ("--normal", hall / "normal", "--normal", tmp_path / "loose.wav")
    done = skasd("explain", hall / "new", "--model", hall / "hall.skasd", "--out", tmp_path / "report.html", *given)
    assert (
        "1 of 25 recordings of --normal are of none of the machines that were learnt (Lüfter, Pumpe 7)" in done.stderr
    )
    assert "could not be used" not in done.stdout


def test_bad_recordings_are_on_the_page_with_their_reasons(hall, tmp_path):
    shutil.copytree(hall / "new", tmp_path / "new")
    (tmp_path / "new" / "Lüfter" / "empty.wav").write_bytes(b"")
    (tmp_path / "new" / "Lüfter" / "text.wav").write_text("hello")
    shutil.copytree(hall / "normal", tmp_path / "normal")
    (tmp_path / "normal" / "Lüfter" / "bad.wav").write_bytes(b"RIFF")
    out = tmp_path / "report.html"
    given = ("--model", hall / "hall.skasd", "--out", out, "--normal", tmp_path / "normal")
    done = skasd("explain", tmp_path / "new", *given)
    assert done.returncode == 2
    assert "and 3 could not be used" in done.stdout
    text = out.read_text(encoding="utf-8")
    assert re.search(r"Lüfter/empty.wav</b> is empty: zero bytes", text)
    assert re.search(r"Lüfter/text.wav</b> is not audio that can be read", text)
    assert re.search(r"bad.wav</b> is not audio.*\(given with --normal\)", text)
    assert len(rows_of(out)) == 5
    out.unlink()
    strict = skasd("explain", tmp_path / "new", *given, "--strict")
    assert (strict.returncode, strict.stdout, out.exists()) == (2, "", False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--model": "missing.skasd"}, "There is no model file"),
        ({"--out": ""}, "is a folder; it must name a file, such as"),
        ({"--out": "hall.skasd/report.html"}, "--out=.* cannot be written"),
        ({"--audio": "mp3"}, "audio='mp3'"),
        ({"--most": "-1"}, "most=-1"),
        ({"--normal": "new/Pumpe 8"}, "do not exist"),
        ({"--normal": "other"}, "None of the 1 recordings of --normal is of a machine on the page"),
    ],
    ids=str,
)
def test_wrong_input_is_named(hall, change, message):
    (hall / "other").mkdir(exist_ok=True)
    soundfile.write(hall / "other" / "x.wav", np.ones(8000) * 0.1, 16000)
    options = {"--model": "hall.skasd", "--out": "report.html", **change}
    paths = ("--model", "--out", "--normal")
    given = [part for name, value in options.items() for part in (name, hall / value if name in paths else value)]
    done = skasd("explain", hall / "new", *given)
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert not (hall / "report.html").exists()
