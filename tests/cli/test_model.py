"""`skasd fit`, `skasd score --model` and `skasd show`: fit on Monday, score every morning."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.pipeline import make_pipeline

import skasd as package
from skasd.cli._detectors import checked_name, detector_names, make_calibrated, make_detector
from skasd.cli._recordings import Recording, find_machine
from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer
from tests.cli.running import skasd, skasd_process
from tests.detectors.cases import SMALL


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """Normal recordings of two machines, and new ones, of which some are faulty."""
    root = tmp_path_factory.mktemp("hall")
    sizes = {"n_train": 20, "n_test_normal": 3, "n_test_anomaly": 3, "duration": 1.0, "severity": 4.0}
    clips = make_machine_clips(("fan", "pump"), random_state=0, **sizes)
    for index, (row, target) in enumerate(zip(clips.data.itertuples(), clips.target, strict=True)):
        folder = root / ("normal" if row.split == "train" else "new") / row.machine_type
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{index}_{'ok' if target == 1 else 'odd'}.wav", row.waveform, 16000)
    return root


def test_the_morning_of_an_engineer(hall, tmp_path):
    model, table = tmp_path / "hall.skasd", tmp_path / "today.csv"
    done = skasd_process("fit", hall / "normal", "--out", model)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        f"{model} was written: StatisticsDetector, 40 normal recordings of 2 machines (fan, pump)"
    )
    morning = ("score", hall / "new", "--model", model, "--csv", table, "--exit-status")
    assert skasd_process(*morning).returncode == 1  # an anomaly, and all could be read
    (hall / "new" / "fan" / "empty.wav").touch()
    (hall / "new" / "pump" / "notes.wav").write_text("not a sound")
    try:
        assert skasd(*morning).returncode == 2
    finally:
        (hall / "new" / "fan" / "empty.wav").unlink()
        (hall / "new" / "pump" / "notes.wav").unlink()
    scores = pd.read_csv(table)
    assert list(scores.columns) == [
        *("path", "machine", "anomaly_score", "threshold", "p_value", "decision", "is_provisional", "reason")
    ]
    assert len(scores) == 14
    bad = scores[scores["decision"] == "unscored"].set_index("path")
    assert bad.loc["fan/empty.wav", "reason"] == "is empty: zero bytes"
    assert "is not audio" in bad.loc["pump/notes.wav", "reason"]
    odd = scores[scores["path"].str.contains("odd")]
    assert (odd["decision"] == "anomaly").mean() > 0.6
    assert scores["decision"].eq("anomaly").equals(scores["anomaly_score"] > scores["threshold"])
    assert scores["decision"].eq("anomaly").equals(scores["p_value"] <= 0.05)
    assert scores["p_value"].isna().sum() == 2


def test_a_model_file_gives_the_scores_of_a_fit_at_once(hall, tmp_path):
    skasd("fit", hall / "normal", "--out", tmp_path / "m.skasd", "--detector", "twfr", "--set", "r=1.0")
    kept = skasd("score", hall / "new", "--model", tmp_path / "m.skasd")
    at_once = skasd("score", hall / "new", "--train", hall / "normal", "--detector", "twfr", "--set", "r=1.0")
    assert kept == at_once
    assert kept.returncode == 0


def test_a_detector_from_python_scores_its_machines_by_folder(hall, tmp_path):
    table = pd.DataFrame({"path": sorted(map(str, hall.glob("normal/*/*.wav")))})
    table["machine_type"] = [path.split("/")[-2] for path in table["path"]]
    detector = OSSCLDetector(("log_mel",), **SMALL).fit(table)
    package.save(detector, tmp_path / "m.skasd")
    done = skasd("score", hall / "new", "--model", tmp_path / "m.skasd", "--csv", tmp_path / "t.csv", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(tmp_path / "t.csv")
    paths = [str(hall / "new" / path) for path in scores["path"]]
    expected = -detector.score_samples(pd.DataFrame({"path": paths, "machine_type": scores["machine"]}))
    np.testing.assert_allclose(scores["anomaly_score"], expected, rtol=1e-4)


def test_bad_training_recordings_are_left_out_of_a_fit_of_all_machines(hall, tmp_path):
    for path in hall.glob("normal/*/*.wav"):
        copy = tmp_path / "normal" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "normal" / "fan" / "bad.wav").write_text("no sound")
    small = [
        f"--set={name}" for name in ("branches=('log_mel',)", "max_epochs=1", "network__bottlenecks=((1,16,1,2),)")
    ]
    done = skasd("fit", tmp_path / "normal", "--out", tmp_path / "m.skasd", "--detector", "OS-SCL", *small)
    assert done.returncode == 2
    assert "skasd: warning: 1 of 41 recordings are not learnt from:" in done.stderr.splitlines()
    assert "OSSCLDetector, 40 normal recordings" in done.stdout
    assert "Provisional, as too few recordings calibrate them (fan: 10, pump: 10)." in done.stdout


def test_show_says_what_is_in_the_file(hall, tmp_path):
    skasd("fit", hall / "normal", "--out", tmp_path / "m.skasd", "--alpha", 0.2)
    done = skasd("show", tmp_path / "m.skasd")
    assert done.returncode == 0
    assert done.stdout.startswith(
        f"{tmp_path / 'm.skasd'}: 2 detectors by machine\n\nfan: CalibratedDetector\n  fitted "
    )
    assert "    alpha = 0.2\n" in done.stdout
    assert done.stdout.count("  decisions    false alarm rate 20 %, calibrated by cross\n") == 2
    assert "(anomaly score; higher is an anomaly), 20 recordings\n" in done.stdout
    assert f"skasd {package.__version__}, numpy {np.__version__}" in done.stdout


def test_export_writes_a_file_for_each_machine(hall, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    skasd("fit", hall / "normal", "--out", tmp_path / "m.skasd", "--detector", "twfr", "--set", "r=1.0")
    (tmp_path / "files").mkdir()
    done = skasd("export", tmp_path / "m.skasd", "--out", tmp_path / "files")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["fan.onnx", "pump.onnx"]
    done = skasd("export", tmp_path / "m.skasd", "--out", tmp_path / "fan.onnx", "--machine", "fan")
    assert "fan.onnx was written for fan: " in done.stdout
    waveform, _ = soundfile.read(min(hall.glob("new/fan/*.wav")), dtype="float32")
    score, is_anomaly, p_value = runtime.InferenceSession(tmp_path / "fan.onnx").run(None, {"waveform": waveform[None]})
    detector = package.load(tmp_path / "m.skasd")["fan"]
    np.testing.assert_allclose(score, -detector.score_samples(waveform[None]), rtol=1e-3)
    assert is_anomaly[0] == (detector.predict(waveform[None])[0] == -1)
    np.testing.assert_allclose(p_value, detector.p_values(waveform[None]), rtol=1e-6)
    for arguments, message in {
        ("--out", tmp_path / "x.onnx"): "choose one with --machine",
        ("--out", tmp_path / "x.onnx", "--machine", "saw"): "--machine=saw is not in",
    }.items():
        done = skasd("export", tmp_path / "m.skasd", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


def test_evaluate_takes_parameters(tmp_path):
    done = skasd("evaluate", tmp_path, "--year", 2023, "--set", "contaminatoin=0.1")
    assert done.returncode == 2
    assert (
        "--set contaminatoin: the detector statistics has no such parameter; did you mean contamination" in done.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "{new}"), "Give either --model, a file that skasd fit wrote, or --train"),
        (("score", "{new}", "--model", "m", "--train", "t"), "Give either --model"),
        (("score", "{new}", "--model", "m", "--set", "a=1", "--one-machine"), "--set, --one-machine belong to a fit"),
        (("score", "{new}", "--model", "{new}/fan/notes.txt"), "notes.txt cannot be used as a model file"),
        (
            ("score", "{new}", "--model", "{tmp}/back_end.skasd"),
            "a GaussianMixture, which decides nothing",
        ),
        (("fit", "{new}", "--out", "{new}"), "must name a file"),
        (("fit", "{new}", "--out", "{tmp}/none/m.skasd"), "in a folder that exists"),
        (("fit", "{new}", "--out", "{tmp}/m.skasd", "--detector", "twf"), "Did you mean twfr?"),
        (("fit", "{new}", "--out", "{tmp}/m.skasd", "--set", "r"), "--set r: key=value is expected"),
        (("fit", "{new}", "--out", "{tmp}/m.skasd", "--set", "level=0", "--set", "level=1"), "level is given twice"),
        (("fit", "{new}", "--out", "{tmp}/m.skasd", "--jobs", "0"), "n_jobs=0"),
        (("score", "{new}", "--model", "m", "--sample-rate", "0"), "--sample-rate belong to a fit"),
        (("score", "{new}", "--model", "{new}"), "is a folder; a model file"),
        (
            ("score", "{new}", "--model", "{tmp}/back_end.skasd", "--csv", "{tmp}/back_end.skasd/x.csv"),
            "cannot be written",
        ),
        (("fit", "{new}", "--out", "{tmp}/m.skasd", "--set", "level='no'"), "level='no'"),
        (("show", "{tmp}/gone.skasd"), "gone.skasd"),
    ],
)
def test_wrong_use_is_one_line(hall, tmp_path, arguments, message):
    from sklearn.mixture import GaussianMixture

    (hall / "new" / "fan" / "notes.txt").write_text("a file of another kind")
    package.save(GaussianMixture().fit(np.eye(3)), tmp_path / "back_end.skasd")
    done = skasd(*(argument.format(new=hall / "new", tmp=tmp_path) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "m.skasd").exists()


def test_a_machine_without_a_model_is_not_scored_by_that_of_another(hall, tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "fan").symlink_to(hall / "normal" / "fan")
    skasd("fit", tmp_path / "normal", "--out", tmp_path / "m.skasd", "--detector", "twfr")
    done = skasd("score", hall / "new", "--model", tmp_path / "m.skasd", "--csv", tmp_path / "t.csv")
    assert done.returncode == 2
    scores = pd.read_csv(tmp_path / "t.csv")
    assert set(scores[scores["decision"] == "unscored"]["path"].str[:4]) == {"pump"}
    assert len(scores) == 12
    alone = min(hall.glob("new/pump/*.wav"))  # given without a folder, it is of the only machine
    assert skasd("score", alone, "--model", tmp_path / "m.skasd").returncode == 0


@pytest.mark.parametrize(
    ("folders", "known", "machine"),
    [
        (("Halle 3", "Pumpe"), ["Halle 1/Pumpe", "Halle 2/Lüfter"], None),
        (("Pumpe",), ["Halle 1/Pumpe", "Halle 2/Lüfter"], "Halle 1/Pumpe"),
        (("Pumpe",), ["Pumpe", "Halle/Pumpe"], "Pumpe"),
        (("Halle", "Pumpe"), ["Pumpe", "Halle/Pumpe"], "Halle/Pumpe"),
        (("other",), ["fan"], None),
        (("other",), [""], ""),
    ],
)
def test_folders_name_the_machine(folders, known, machine):
    assert find_machine(Recording("x.wav", folders, True), known) == machine


def test_a_detector_of_one_machine_and_a_pipeline_are_scored(hall, tmp_path):
    fans = pd.DataFrame(
        {"path": sorted(map(str, hall.glob("normal/fan/*.wav"))), "machine_type": "fan", "section": "00"}
    )
    for name, detector in {
        "one": TWFRDetector(1.0),
        "pipeline": make_pipeline(LogMelTransformer(n_mels=32), TWFRDetector(1.0)),
    }.items():
        package.save(detector.fit(fans), tmp_path / f"{name}.skasd")
        done = skasd("score", *sorted(hall.glob("new/fan/*.wav")), "--model", tmp_path / f"{name}.skasd")
        assert (done.returncode, done.stderr) == (0, "")
        assert "unscored" not in done.stdout


def test_detectors_are_known_by_all_their_names():
    assert set(detector_names()) == {
        "autoencoder",
        "contrastive-spectrum",
        "ensemble",
        "joint-aecnn",
        "osscl",
        "self-supervised",
        "stat-cluster",
        "statistics",
        "twfr",
    }
    for name in ("Stat_Cluster", "StatClusterDetector", "statcluster", "STAT-CLUSTER"):
        assert checked_name(name) == "stat-cluster"


def test_settings_of_the_calibration_are_told_from_those_of_the_detector():
    detector = make_calibrated("twfr", settings=["method=split", "r=0.5", "learning_period=7"], alpha=0.2)
    assert (detector.method, detector.learning_period, detector.alpha, detector.detector.r) == ("split", 7, 0.2, 0.5)
    for settings, message in {
        "contamination=0.1": "decisions are calibrated for a false alarm rate; use --alpha",
        "method=jackknife": "method='jackknife' is unknown",
    }.items():
        with pytest.raises(ValueError, match=message):
            make_calibrated("twfr", settings=[settings])


@pytest.mark.parametrize("name", detector_names())
def test_every_detector_can_be_made_with_its_settings(name):
    detector = make_detector(
        name, settings=["contamination=0.05"], sample_rate=8000, channel="mean", n_jobs=2, verbose=1
    )
    params = detector.get_params()
    assert params["contamination"] == 0.05
    rates = {key: value for key, value in params.items() if key.endswith("frontend__sample_rate")}
    assert rates
    assert set(rates.values()) == {8000}


def test_default_front_ends_stay_those_of_the_detectors():
    assert make_detector("osscl").frontend is None
    for name, kind in {"statistics": StatisticsDetector, "twfr": TWFRDetector}.items():
        assert repr(make_detector(name).frontend) == repr(kind._default_frontend())
