"""`skasd score` loads what scores a model without scikit-learn, with the scores of the model that is loaded as a whole."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import skasd as package
from skasd.cli._models import load_scored, score_recordings
from skasd.cli._recordings import list_recordings
from skasd.decisions import CalibratedDetector, decision_table
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.persistence._container import opened_arrays, read_texts, write_file
from skasd.persistence._scores import load_scores
from skasd.scoring import GMMScorer
from tests.cli.running import skasd

HIDDEN = """
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name in ("sklearn", "pandas", "torch", "scipy.stats"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Hidden)
from skasd.cli import main
main()
"""
DETECTORS = {
    "twfr": TWFRDetector(),
    "mixture": TWFRDetector(r=(1.0, 0.3), n_components=2, frontend=LogMelTransformer(channel="mean"), random_state=0),
    "statistics": StatisticsDetector(),
    "calibrated": CalibratedDetector(StatisticsDetector(), alpha=0.2, learning_period=4),
    "provisional": CalibratedDetector(TWFRDetector()),
}
WHOLE = {
    "likelihood": TWFRDetector(n_components=2, score_by="log_likelihood", random_state=0),
    "scorer": TWFRDetector(scorer=GMMScorer(random_state=0)),
}


def saved(detector, folders, file):
    package.save(detector.fit(sorted(map(str, (folders / "normal").iterdir()))), file)
    return file


@pytest.fixture(scope="module")
def models(folders, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: saved(detector, folders, root / f"{name}.skasd") for name, detector in DETECTORS.items()}


@pytest.fixture(scope="module")
def new(folders):
    """Paths of recordings of different lengths, channels and sample rates."""
    rng = np.random.default_rng(1)
    long, wide = folders / "new" / "long.wav", folders / "new" / "wide.wav"
    soundfile.write(long, 0.1 * rng.standard_normal(55000), 16000)
    soundfile.write(wide, 0.1 * rng.standard_normal((48000, 2)), 48000)
    return [*map(str, (long, wide, folders / "new" / "odd.wav", folders / "normal" / "3.wav"))]


@pytest.mark.parametrize("name", DETECTORS)
def test_decisions_are_those_of_the_whole_model(name, models, new):
    decided, expected = load_scores(models[name], 1)[""].decided(new), decision_table(package.load(models[name]), new)
    for column in ("anomaly_score", "threshold", "p_value", "is_provisional"):
        np.testing.assert_array_equal(getattr(decided, column), expected[column])


@pytest.mark.parametrize("name", ["twfr", "statistics", "calibrated", "provisional"])
def test_a_recording_is_scored_without_scikit_learn_and_pandas(name, models, new, tmp_path):
    command = [sys.executable, "-c", HIDDEN, "score", "--model", str(models[name]), *new]
    done = subprocess.run([*command, "--csv", str(tmp_path / "few.csv")], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(new) + 3
    model = package.load(models[name])
    table = np.genfromtxt(tmp_path / "few.csv", delimiter=",", dtype=None, names=True, encoding="utf-8")
    of_file = {row["path"].rpartition("/")[2]: row["anomaly_score"] for row in table}
    scores = dict(zip((path.rpartition("/")[2] for path in new), -model.score_samples(new), strict=True))
    assert of_file == pytest.approx(scores, rel=1e-12)


def test_machines_of_a_dict_are_told_apart_by_their_folders(models, new, tmp_path):
    machines = {"pump": package.load(models["twfr"]), "fan": package.load(models["statistics"])}
    package.save(machines, tmp_path / "two.skasd")
    for machine in machines:
        (tmp_path / machine).mkdir()
        for path in new:
            shutil.copy(path, tmp_path / machine)
    recordings = list_recordings([tmp_path / "fan", tmp_path / "pump"])
    rows = score_recordings(recordings, load_scored(tmp_path / "two.skasd", 1), strict=True, verbose=0)
    assert [row.machine for row in rows] == ["fan"] * len(new) + ["pump"] * len(new)
    for machine, detector in machines.items():
        own = [row for row in rows if row.machine == machine]
        scores = -detector.score_samples([row.file for row in own])
        assert [row.anomaly_score for row in own] == pytest.approx(scores.tolist(), rel=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_other_models_are_left_to_be_loaded_as_a_whole(name, folders, tmp_path):
    model, file = saved(WHOLE[name], folders, tmp_path / "model.skasd"), folders / "normal" / "0.wav"
    assert load_scores(model, 1) is None
    assert skasd("score", file, "--model", model).returncode == 0


def test_what_is_wrong_with_a_recording_is_said_once(models, new, tmp_path):
    (tmp_path / "empty.wav").touch()
    done = skasd("score", tmp_path / "empty.wav", new[0], "--model", models["twfr"])
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 3
    assert (done.stdout + done.stderr).count("is empty: zero bytes") == 1


def test_a_short_recording_is_warned_about_once(models, tmp_path):
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(3).standard_normal(4000), 16000)
    done = skasd("score", tmp_path / "short.wav", "--model", models["twfr"])
    assert done.stderr.count("much shorter") == 1
    assert "TWFRDetector" in done.stderr


def test_files_with_the_former_names_of_parts_are_read(models, new, tmp_path):
    for name, old, today in (
        ("twfr", "skasd.detectors._twfr._Machine", "skasd.detectors._twfr_scores.Machine"),
        ("statistics", "skasd.scoring._scaled_knn.Scal", "skasd.scoring._scaled_neighbors.Scal"),
    ):
        texts = read_texts(models[name])
        with opened_arrays(models[name], texts["stamp"]) as arrays:
            values = {key: arrays.get_tensor(key) for key in arrays.keys()}  # noqa: SIM118 - not a dict
        write_file(tmp_path / name, texts["about"], renamed(texts["tree"], today, old), values)
        scores = -package.load(models[name]).score_samples(new)
        np.testing.assert_array_equal(-package.load(tmp_path / name).score_samples(new), scores)
        np.testing.assert_array_equal(load_scores(tmp_path / name, 1)[""].decided(new).anomaly_score, scores)


def renamed(tree, today, old):
    if isinstance(tree, dict):
        return {key: renamed(part, today, old) for key, part in tree.items()}
    if isinstance(tree, list):
        return [renamed(part, today, old) for part in tree]
    return tree.replace(today, old) if isinstance(tree, str) else tree
