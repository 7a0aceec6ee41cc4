"""Several results of one fit: ways to score, and back ends on embeddings."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skasd.benchmark import Entry, Suite, read_suite, report, run_suite
from skasd.benchmark._results import Results
from skasd.detectors import TWFRDetector
from skasd.scoring import BackEnd, KNNScorer

DATA = {
    "fans": {
        "kind": "synthetic",
        "machine_types": "fan",
        "n_sections": 2,
        "n_train": 8,
        "n_test_normal": 5,
        "n_test_anomaly": 5,
        "duration": 0.5,
        "random_state": 0,
    }
}
FITS = []  # of this process


class LevelDetector(OutlierMixin, BaseEstimator):
    """Scores the level of a clip, or how far it is from that of the training clips, as `score_with` says."""

    def __init__(self, score_with="auto", random_state=None):
        self.score_with = score_with
        self.random_state = random_state

    def fit(self, X, y=None):
        FITS.append(self.random_state)
        self.level_ = self.transform(X)[:, 0].mean()
        return self

    def transform(self, X):
        return np.array([[np.log(np.mean(wave**2)), np.abs(wave).max()] for wave in X["waveform"]])

    def score_samples(self, X):
        level = self.transform(X)[:, 0]
        return {"label": level, "embedding": -np.abs(level - self.level_)}[self.score_with]


@pytest.fixture(autouse=True)
def no_fits():
    FITS.clear()


def test_each_way_to_score_is_a_result_of_one_fit(tmp_path):
    suite = Suite("ways", DATA, {"level": Entry(LevelDetector(), score_with=("label", "embedding"))}, seeds=(0, 1))
    table = run_suite(suite, tmp_path)
    assert FITS == [0, 1]
    assert table["detector"].tolist() == ["level, label", "level, embedding"] * 2
    assert table["score_with"].tolist() == ["label", "embedding"] * 2
    assert table["key"].nunique() == 4
    assert table["setting"].nunique() == 2
    scores = [Results(tmp_path).scores(row)["score_samples"] for row in table.iloc[:2].to_dict("records")]
    assert not np.allclose(*scores)
    assert "level, embedding" in report(tmp_path)
    run_suite(suite, tmp_path)
    assert FITS == [0, 1]


def test_a_way_that_is_added_fits_again_and_replaces_nothing(tmp_path):
    for ways in (("label",), ("label", "embedding")):
        run_suite(Suite("ways", DATA, {"level": Entry(LevelDetector(), score_with=ways)}, seeds=(0,)), tmp_path)
    assert FITS == [0, 0]
    assert [row["score_with"] for row in Results(tmp_path).rows()] == ["label", "embedding"]


def test_the_last_step_of_a_pipeline_is_told_how_to_score(tmp_path):
    pipeline = make_pipeline(FunctionTransformer(), LevelDetector())
    table = run_suite(Suite("ways", DATA, {"both": Entry(pipeline, score_with=("embedding",))}, seeds=(0,)), tmp_path)
    assert table["detector"].tolist() == ["both, embedding"]


def test_back_ends_score_embeddings_of_each_section(tmp_path):
    entry = Entry(LevelDetector(), score_with=("label",), back_ends={"kNN": KNNScorer(n_neighbors=2)})
    table = run_suite(Suite("ways", DATA, {"level": entry}, seeds=(0,)), tmp_path)
    assert table["detector"].tolist() == ["level, label", "level, embedding, kNN"]
    assert FITS == [0]
    from skasd.benchmark._data import load_data

    train, test, _ = load_data(DATA["fans"]).split()
    of_one = [clips[clips["section"] == "01"] for clips in (train, test)]
    learnt, tested = (LevelDetector().transform(clips) for clips in of_one)
    expected = -BackEnd(KNNScorer(n_neighbors=2), seed=0).fit(learnt).anomaly_score(tested)
    scores = Results(tmp_path).scores(table.iloc[1])
    np.testing.assert_allclose(scores["score_samples"][scores["section"] == "01"], expected)


def test_wrong_ways_are_named():
    with pytest.raises(TypeError, match="score_with='label'; a sequence"):
        Entry(LevelDetector(), score_with="label")
    with pytest.raises(ValueError, match="no parameter score_with"):
        Entry(TWFRDetector(), score_with=("label",))
    with pytest.raises(ValueError, match=r"no embeddings \(transform\)"):
        Entry(TWFRDetector(), back_ends={"kNN": KNNScorer()})


def test_in_a_file_a_list_is_for_the_entry_and_a_text_for_the_detector(tmp_path):
    (tmp_path / "mine.toml").write_text(
        """
        [data.fans]
        kind = "synthetic"
        machine_types = "fan"
        tags = { place = "hall" }
        [detectors.one]
        class = "OSSCLDetector"
        score_with = "label"
        [detectors.several]
        class = "OSSCLDetector"
        score_with = ["label", "embedding"]
        back_ends = { kNN = { class = "KNNScorer" } }
        tags = { margin = 0.4 }
        """
    )
    entries = read_suite(tmp_path / "mine.toml").entries
    assert (entries["one"].detector.score_with, entries["one"].score_with) == ("label", ())
    assert (entries["several"].detector.score_with, entries["several"].score_with) == ("auto", ("label", "embedding"))
    assert isinstance(entries["several"].back_ends["kNN"], KNNScorer)
    assert entries["several"].tags == {"margin": 0.4}
