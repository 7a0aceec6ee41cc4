"""How a suite uses the clips of a data set: seeds, draws, held-out clips, hidden columns and proxy anomalies."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, OutlierMixin

from skasd.benchmark import Entry, Suite, read_suite, report, run_suite
from skasd.benchmark._data import fingerprints, load_data
from skasd.benchmark._protocol import Protocol, ProxyOptions
from skasd.detectors import StatClusterDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score
from skasd.model_selection import make_proxy_anomalies

SIZES = {"n_train": 8, "n_test_normal": 5, "n_test_anomaly": 5, "duration": 1.0}
FANS = {"kind": "synthetic", "machine_types": "fan", "random_state": 0, **SIZES}
MEL = LogMelTransformer(n_mels=32)


def louder(clips, seed):
    return clips.assign(log_mel=[log_mel + 20 + seed for log_mel in clips["log_mel"]])


def run(data, folder, detector=None, **options):
    detector = detector or Entry(TWFRDetector(), features=MEL)
    return run_suite(Suite("mine", {"fans": data}, {"mine": detector}, **options), folder)


def test_synthetic_clips_may_follow_the_seed(tmp_path):
    table = run({**FANS, "random_state": "seed"}, tmp_path, seeds=(3, 4))
    assert table["fingerprint"].nunique() == 2
    assert len(set(table["setting"])) == 1
    fixed = run({**FANS, "random_state": 4}, tmp_path, seeds=(4,))
    assert fixed["sections"][0] == table["sections"][1]


def test_tasks_are_listed_without_making_clips_that_follow_the_seed():
    never = {"kind": "synthetic", "random_state": "seed", "n_train": "no number"}
    assert fingerprints(never, 0) == fingerprints(never, 0)
    assert fingerprints(never, 0)[0] != fingerprints(never, 1)[0]
    assert fingerprints(never, 0)[1] == fingerprints(never, 1)[1]
    description = {**FANS, "random_state": "seed", "draw": True}
    data = load_data(description, 1)
    assert (data.fingerprint, data.family) == fingerprints(description, 1)


def test_a_data_set_may_have_seeds_and_tags_of_its_own(tmp_path):
    data = {**FANS, "seeds": (7,), "tags": {"duty_cycle": 0.5}}
    table = run(data, tmp_path, Entry(TWFRDetector(), tags={"r": "auto"}))
    assert table["seed"].tolist() == [7]
    assert table["tags"].tolist() == [{"duty_cycle": 0.5, "r": "auto"}]
    assert table["key"][0] == run(FANS, tmp_path / "plain", Entry(TWFRDetector()), seeds=(7,))["key"][0]


def test_training_clips_may_be_drawn():
    data = [load_data({**FANS, "n_sections": 2, "draw": True}, seed) for seed in (0, 0, 1)]
    trains = [one.split()[0] for one in data]
    pd.testing.assert_index_equal(trains[0].index, trains[1].index)
    assert not trains[0].index.equals(trains[2].index)
    assert trains[0].groupby("section").size().tolist() == [8, 8]
    _, test, y_true = data[0].split()
    assert len(test) == 20
    assert not set(test.index) & set(trains[0].index)
    assert (y_true == -1).sum() == 10
    assert data[0].fingerprint != data[2].fingerprint
    assert data[0].family == data[2].family


def test_drawn_clips_cannot_be_compared_by_a_bootstrap_of_the_same_clips(tmp_path):
    suite = Suite(
        "two", {"fans": {**FANS, "draw": True}}, {"a": TWFRDetector(), "b": TWFRDetector(r=1.0)}, seeds=(0, 1)
    )
    run_suite(suite, tmp_path)
    assert "| a |" in report(tmp_path)
    with pytest.raises(ValueError, match="a and b scored other clips of fans for another seed"):
        report(tmp_path, compare=("a", "b"))


def test_held_out_clips_and_larger_sections_are_sampled():
    train = load_data({**FANS, "n_sections": 2}).split()[0].drop(columns="attributes").assign(domain="source")
    protocol = Protocol(max_train=3, proxies=ProxyOptions(("clicks",), share=0.25))
    (rest, kept), (again, _) = protocol.held_out(train, 0), protocol.held_out(train, 0)
    assert kept.groupby("section").size().tolist() == [2, 2]
    assert rest.groupby("section").size().tolist() == [3, 3]
    assert not set(rest.index) & set(kept.index)
    pd.testing.assert_index_equal(rest.index, again.index)
    every = Protocol(proxies=ProxyOptions(("clicks",), every=4)).held_out(train, 0)[1]
    assert every.index.tolist() == train.index[::4].tolist()
    assert Protocol().held_out(train, 0)[0] is not None
    assert len(Protocol(max_train=8).held_out(train, 0)[0]) == 16
    with pytest.raises(ValueError, match=r"share=0.01 of each machine type.* is no clip"):
        Protocol(proxies=ProxyOptions(("clicks",), share=0.01)).held_out(train, 0)


class SeesColumns(OutlierMixin, BaseEstimator):
    def fit(self, X, y=None):
        assert X["attributes"].isna().all()
        assert X["domain"].notna().all()
        return self

    def score_samples(self, X):
        assert X["attributes"].isna().all()
        return np.arange(len(X), dtype=float)


def test_hidden_columns_are_hidden_in_training_too(tmp_path):
    description = {**FANS, "year": 2023, "target_share": 0.5, "hidden": ["attributes"]}
    assert load_data(description).table["attributes"].notna().all()
    assert len(run(description, tmp_path, SeesColumns(), seeds=(0,))) == 1


def test_agreement_of_classes_and_attributes_is_recorded(tmp_path):
    description = {**FANS, "year": 2023, "target_share": 0.5, "n_train": 12}
    detector = StatClusterDetector("metadata", branches=("log_mel",), max_epochs=1)
    detector.set_params(network__bottlenecks=((2, 8, 1, 2),))
    (row,) = run(description, tmp_path, detector, seeds=(0,)).to_dict("records")
    assert row["agreement"]["all"] == 1.0
    assert run(FANS, tmp_path, seeds=(0,))["agreement"].tolist() == [None]


def test_proxies_are_made_of_clips_that_are_held_out(tmp_path):
    description = {**FANS, "proxies": {"kinds": ["band_gain", louder], "severity": 0.5, "share": 0.25}}
    (row,) = run(description, tmp_path, seeds=(1,)).to_dict("records")
    assert row["n_train"] == 7
    assert row["proxies"]["louder"] == {"auc": 1.0, "auc_pooled": 1.0, "machines": {"fan": 1.0}}
    data = load_data(description, 1)
    train, kept = data.protocol.held_out(data.split()[0], 1)
    both = pd.concat([kept, make_proxy_anomalies(kept, "band_gain", severity=0.5, random_state=1)])
    mels = [MEL.fit_transform(clips).drop(columns="waveform") for clips in (train, both)]
    score = TWFRDetector(frontend=MEL, random_state=1).fit(mels[0]).score_samples(mels[1])
    assert row["proxies"]["band_gain"]["auc"] == pytest.approx(auc_score(np.repeat([1, -1], len(kept)), score))


def test_proxies_in_folds_train_on_all_clips_in_the_end(tmp_path):
    description = {**FANS, "proxies": {"kinds": ["clicks"], "folds": 2}}
    (row,) = run(description, tmp_path, seeds=(0,)).to_dict("records")
    (plain,) = run(FANS, tmp_path, seeds=(0,)).to_dict("records")
    assert row["n_train"] == plain["n_train"] == 8
    assert row["sections"] == plain["sections"]
    assert 0 <= row["proxies"]["clicks"]["auc"] <= 1
    assert plain["proxies"] is None
    assert row["key"] != plain["key"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": {"kinds": ["clicks"]}}, "one of share, every and folds"),
        ({"proxies": {"kinds": ["clicks"], "share": 0.1, "folds": 3}}, "one of share, every and folds"),
        ({"proxies": {"kinds": ["clicks"], "share": 1.5}}, "share=1.5 is out of range"),
        ({"proxies": {"kinds": ["clicks"], "folds": 1}}, "folds=1 is too small"),
        ({"seeds": [-1]}, "seeds=-1 is too small"),
    ],
)
def test_wrong_options_are_named_before_anything_runs(options, message):
    with pytest.raises(ValueError, match=message):
        Suite("mine", {"fans": {**FANS, **options}}, {"mine": TWFRDetector()})


def test_a_suite_may_be_a_python_file(tmp_path):
    file = tmp_path / "grid.py"
    file.write_text(
        "from skasd.benchmark import Suite\n"
        "from skasd.detectors import TWFRDetector\n"
        f"suite = Suite('grid', {{'fans': {FANS}}}, {{f'r={{r}}': TWFRDetector(r=r) for r in (0.5, 1.0)}}, seeds=(0,))\n"
    )
    assert run_suite(read_suite(file), tmp_path / "r")["detector"].tolist() == ["r=0.5", "r=1.0"]
    file.write_text("suite = 3\n")
    with pytest.raises(ValueError, match=r"grid\.py assigns no Suite to the name suite"):
        read_suite(file)
