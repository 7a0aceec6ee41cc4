"""`skasd score`: its table, its csv file, machines in subfolders, recordings that cannot be used, and exit statuses."""

import os
import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.cli.running import skasd

COLUMNS = ["path", "machine", "anomaly_score", "threshold", "p_value", "decision", "is_provisional", "reason"]
PUMP, FAN = "Pumpe 7", "Lüfter Halle 2"


def write(file, waveform):
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, waveform, 16000)


def hum(frequency, rng):
    time = np.arange(8000) / 16000
    return 0.2 * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6)) + 0.02 * rng.standard_normal(8000)


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """Normal recordings of two machines that hum at different pitches, and new ones with equal names."""
    root, rng = tmp_path_factory.mktemp("hall"), np.random.default_rng(0)
    for machine, frequency in ((PUMP, 400), (FAN, 3000)):
        for index in range(12):
            write(root / "normal" / machine / f"{index}.wav", hum(frequency, rng))
        shutil.copytree(
            root / "normal" / machine, root / "new" / machine, ignore=lambda *_: [f"{i}.wav" for i in range(3, 12)]
        )
    write(root / "new" / PUMP / "sounds" / "as_a_fan.wav", hum(3000, rng))
    return root


def table_of(file):
    return pd.read_csv(file, keep_default_na=False)


def test_score_tells_an_odd_recording_from_normal_ones(folders, tmp_path):
    normal = folders / "normal" / "3.wav"
    done = skasd("score", normal, folders / "new", "--train", folders / "normal", "--csv", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    header, *rows, empty, written = done.stdout.splitlines()
    assert (empty, written) == ("", f"{tmp_path / 'out.csv'} was written.")
    assert header.split() == ["score", "p-value", "decision", "file"]
    scores, p_values, decisions, files = zip(*(row.split() for row in rows), strict=True)
    assert p_values[:2] == ("0.032", "0.032")  # 1 in 31: thirty recordings calibrate the decisions
    assert decisions == ("anomaly", "anomaly", "normal")
    assert list(map(float, scores)) == sorted(map(float, scores), reverse=True)
    assert files[-1] == str(normal)
    table = table_of(tmp_path / "out.csv")
    assert list(table.columns) == COLUMNS
    assert set(table["path"]) == {"normal/3.wav", "new/odd.wav", "new/stereo.wav"}
    assert table["anomaly_score"].tolist() == pytest.approx(list(map(float, scores)), abs=1e-3)
    assert ((table["anomaly_score"] > table["threshold"]) == (table["decision"] == "anomaly")).all()


def test_score_takes_another_channel(tmp_path):
    rng = np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    for index in range(20):
        write(tmp_path / "train" / f"{index}.wav", 0.1 * rng.standard_normal((16000, 2)))
    new = tmp_path / "new, with comma.wav"
    write(new, np.stack([0.1 * rng.standard_normal(16000), tone], axis=1))
    for channel, decision in (("0", "normal"), ("1", "anomaly")):
        done = skasd(
            "score", new, "--train", tmp_path / "train", "--channel", channel, "--csv", tmp_path / f"{channel}.csv"
        )
        assert done.stdout.splitlines()[1].split()[2] == decision
    assert table_of(tmp_path / "1.csv").loc[0, ["path", "decision"]].tolist() == ["new, with comma.wav", "anomaly"]


def test_score_takes_the_residual_of_two_microphones(tmp_path):
    rng = np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    for index in range(20):
        write(tmp_path / "train" / f"{index}.wav", 0.1 * rng.standard_normal((16000, 2)) * (1.0, 0.1))
    for name, far in {"near": 0.01, "both": 1.0}.items():
        write(
            tmp_path / "new" / f"{name}.wav",
            0.1 * rng.standard_normal((16000, 2)) * (1.0, 0.1) + tone[:, None] * (1.0, far),
        )
    skasd(
        "score", tmp_path / "new", "--train", tmp_path / "train", "--channel", "residual", "--csv", tmp_path / "out.csv"
    )
    score = table_of(tmp_path / "out.csv").set_index("path")["anomaly_score"]
    assert score["near.wav"] > score["both.wav"] + 5


def test_channel_that_files_lack_is_named(folders):
    done = skasd("score", folders / "new" / "stereo.wav", "--train", folders / "normal", "--channel", "1")
    assert done.returncode == 2
    assert "there is no channel=1" in done.stderr  # the training files have one
    assert "  and 25 more" in done.stderr.splitlines()


def test_subfolders_are_machines_with_thresholds_of_their_own(hall, tmp_path):
    done = skasd("score", hall / "new", "--train", hall / "normal", "--csv", tmp_path / "out.csv")
    assert done.returncode == 0
    assert done.stderr.count("decisions are provisional") == 2  # by twelve recordings of each machine
    assert done.stdout.splitlines()[0].split() == ["score", "decision", "machine", "file"]
    assert all("(provisional)" in line for line in done.stdout.splitlines()[1:8])
    table = table_of(tmp_path / "out.csv")
    assert table.loc[0, ["path", "machine", "decision"]].tolist() == [f"{PUMP}/sounds/as_a_fan.wav", PUMP, "anomaly"]
    assert set(zip(table["machine"], table["path"], strict=True)) == {
        (PUMP, f"{PUMP}/sounds/as_a_fan.wav"),
        *((machine, f"{machine}/{index}.wav") for machine in (PUMP, FAN) for index in range(3)),
    }
    assert table.groupby("machine")["threshold"].nunique().tolist() == [1, 1]
    assert table["threshold"].nunique() == 2
    above = table["anomaly_score"] - table["threshold"]
    assert above.is_monotonic_decreasing


def test_one_machine_is_one_detector(hall, tmp_path):
    options = ("--train", hall / "normal", "--one-machine", "--csv", tmp_path / "out.csv")
    assert skasd("score", hall / "new", *options).returncode == 0
    table = table_of(tmp_path / "out.csv")
    assert set(table["machine"]) == {""}
    assert len(set(table["threshold"])) == 1
    assert table.set_index("path").loc[f"{PUMP}/sounds/as_a_fan.wav", "decision"] == "normal"


@pytest.mark.parametrize("file", ["", "0.wav"], ids=["folder", "file"])
@pytest.mark.parametrize("name", [FAN, unicodedata.normalize("NFD", FAN), FAN.upper()])
def test_a_recording_is_of_the_machine_whose_folder_it_is_in(hall, tmp_path, name, file):
    shutil.copytree(hall / "new" / FAN, tmp_path / name)
    assert (
        skasd("score", tmp_path / name / file, "--train", hall / "normal", "--csv", tmp_path / "out.csv").returncode
        == 0
    )
    assert set(table_of(tmp_path / "out.csv")["machine"]) == {FAN}


def test_a_recording_of_an_unknown_machine_is_a_row_with_the_reason(hall, tmp_path):
    shutil.copytree(hall / "new", tmp_path / "new")
    shutil.copy(hall / "new" / PUMP / "0.wav", tmp_path / "new" / "loose.wav")
    (tmp_path / "new" / PUMP / "Press").mkdir()  # a folder below that of a machine is still of that machine
    shutil.copy(hall / "new" / PUMP / "0.wav", tmp_path / "new" / PUMP / "Press" / "x.wav")
    done = skasd("score", tmp_path / "new", "--train", hall / "normal", "--csv", tmp_path / "out.csv")
    assert done.returncode == 2
    last = table_of(tmp_path / "out.csv").iloc[-1]
    assert last[["path", "machine", "decision", "anomaly_score"]].tolist() == ["loose.wav", "", "unscored", ""]
    assert f"none of the machines that were learnt ({FAN}, {PUMP})" in last["reason"]
    assert (table_of(tmp_path / "out.csv")["decision"] == "unscored").sum() == 1


def test_recordings_beside_the_folders_of_machines_are_refused(hall, tmp_path):
    shutil.copytree(hall / "normal", tmp_path / "normal")
    shutil.copy(hall / "normal" / PUMP / "0.wav", tmp_path / "normal" / "loose.wav")
    done = skasd("score", hall / "new", "--train", tmp_path / "normal")
    assert done.returncode == 2
    assert "1 recordings lie directly in" in done.stderr
    assert "--one-machine" in done.stderr


def test_sections_of_mimii_are_machines(hall, tmp_path):
    for section, machine in (("id_00", PUMP), ("id_02", FAN)):
        shutil.copytree(hall / "normal" / machine, tmp_path / "fan" / section / "normal")
        shutil.copytree(hall / "new" / machine, tmp_path / "new" / section)
    done = skasd("score", tmp_path / "new", "--train", tmp_path / "fan", "--csv", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    assert sorted(set(table_of(tmp_path / "out.csv")["machine"])) == ["fan/00", "fan/02"]


@pytest.mark.usefixtures("two_cores")
def test_one_bad_recording_is_a_row_with_its_reason(folders, tmp_path):
    shutil.copytree(folders / "new", tmp_path / "new")
    (tmp_path / "new" / "bad.wav").write_bytes(b"RIFF")
    done = skasd(
        "score", tmp_path / "new", "--train", folders / "normal", "--csv", tmp_path / "out.csv", "--exit-status"
    )
    assert done.returncode == 2
    table = table_of(tmp_path / "out.csv")
    assert table["decision"].tolist() == ["anomaly", "anomaly", "unscored"]
    assert table["path"].tolist()[-1] == "bad.wav"
    assert "is not audio that can be read" in table["reason"].tolist()[-1]
    assert done.stdout.splitlines()[3].split()[:2] == ["-", "-"]


@pytest.mark.usefixtures("two_cores")
def test_strict_stops_at_a_bad_recording(folders, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    done = skasd("score", folders / "new", tmp_path, "--train", folders / "normal", "--strict")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"skasd: {tmp_path / 'bad.wav'}: is not audio")


@pytest.mark.usefixtures("two_cores")
def test_a_bad_training_recording_is_named_and_left_out(folders, tmp_path):
    shutil.copytree(folders / "normal", tmp_path / "normal")
    (tmp_path / "normal" / "bad.wav").write_bytes(b"")
    done = skasd("score", folders / "new", "--train", tmp_path / "normal")
    assert done.returncode == 2
    first, second, *_ = done.stderr.splitlines()
    assert first == "skasd: warning: 1 of 31 recordings are not learnt from:"
    assert second == f"  {tmp_path / 'normal' / 'bad.wav'}: is empty: zero bytes"
    without = skasd("score", folders / "new", "--train", folders / "normal")
    assert done.stdout == without.stdout
    strict = skasd("score", folders / "new", "--train", tmp_path / "normal", "--strict")
    assert (strict.returncode, strict.stdout) == (2, "")


def test_a_machine_with_too_few_recordings_leaves_the_others(hall, tmp_path):
    shutil.copytree(hall / "normal", tmp_path / "normal")
    write(tmp_path / "normal" / "Presse" / "only.wav", hum(1000, np.random.default_rng(1)))
    shutil.copytree(tmp_path / "normal" / "Presse", tmp_path / "new" / "Presse")
    shutil.copytree(hall / "new" / FAN, tmp_path / "new" / FAN)
    done = skasd("score", tmp_path / "new", "--train", tmp_path / "normal", "--csv", tmp_path / "out.csv")
    assert done.returncode == 2
    assert (
        "1 of 3 machines are not scored:\n  Presse: no detector could be fitted: fit was given 1 sample" in done.stderr
    )
    table = table_of(tmp_path / "out.csv")
    assert table["machine"].tolist() == [FAN] * 3 + ["Presse"]
    assert table["decision"].tolist()[-1] == "unscored"


def test_exit_status_tells_anomalies(folders):
    train = ("--train", folders / "normal")
    assert skasd("score", folders / "new", *train).returncode == 0
    assert skasd("score", folders / "new", *train, "--exit-status").returncode == 1
    assert skasd("score", folders / "normal" / "3.wav", *train, "--exit-status").returncode == 0


def test_a_recording_given_twice_is_one_row(folders, monkeypatch):
    monkeypatch.chdir(folders)
    done = skasd("score", "new", "new/odd.wav", f"../{folders.name}/new", "--train", "normal")
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_is_printed_and_written(folders, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(os.fsencode(folders / "new" / "odd.wav"), os.fsencode(tmp_path / "new") + b"/L\xfcfter.wav")
    done = skasd("score", tmp_path / "new", "--train", folders / "normal", "--csv", tmp_path / "out.csv")
    assert f"{tmp_path / 'new'}/L\\xfcfter.wav" in done.stdout.splitlines()[1]
    assert table_of(tmp_path / "out.csv").loc[0, "path"] == "L\\xfcfter.wav"


def test_a_message_of_several_lines_keeps_them(folders, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    done = skasd("score", folders / "new", "--train", tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == f"skasd: None of the 2 recordings in {tmp_path} can be used:"
    assert [line.split(":")[0] for line in lines[1:]] == [f"  {tmp_path / name}" for name in ("a.wav", "b.wav")]
