"""Which column of a clip table an estimator reads."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from skasd.clips import as_clips, check_clips
from skasd.clips._feature_column import feature_column, note_feature
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter, TFgramTransformer, TWFRTransformer
from skasd.objectives import MobileFaceNetOptions

RNG = np.random.default_rng(0)
SMALL = {
    "network": MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8),
    "frontend": LogMelTransformer(n_fft=256, hop_length=128, n_mels=16),
    "max_epochs": 1,
    "device": "cpu",
    "random_state": 0,
}


def table(**shapes):
    """Two clips with features of these shapes."""
    columns = {name: [RNG.standard_normal(shape) for _ in range(2)] for name, shape in shapes.items()}
    return pd.DataFrame({"section": ["00", "01"], **columns})


def of_column(X, column):
    """What a TWFRDetector gives that has nothing else to read."""
    alone = X[["section", column]].copy()
    alone.attrs = {}
    return TWFRDetector(group_columns=()).fit(alone).score_samples(alone)


@pytest.fixture(scope="module")
def clips():
    made = make_machine_clips(("fan",), n_sections=1, n_train=6, duration=0.25, random_state=0).data
    return made[made["split"] == "train"].reset_index(drop=True)


@pytest.mark.parametrize("name", ["log_mel", "tfgram", "cochleagram", "feature"])
def test_auto_is_the_only_column_of_features(name):
    assert feature_column(table(**{name: (4, 6)}), "auto") == name


@pytest.mark.parametrize(
    "other",
    [
        {"path": ["a.wav", "b.wav"]},
        {"waveform": [np.zeros((2, 4))] * 2},  # of two channels
        {"spectrum": [np.zeros(4)] * 2},
        {"images": [np.zeros((1, 4, 4))] * 2},
        {"attributes": ["vel_6", None]},
        {"weight": [1.0, 2.0]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_columns_are_no_candidates(other):
    assert feature_column(pd.DataFrame(other), "auto") is None
    assert feature_column(table(log_mel=(4, 6)).assign(**other), "auto") == "log_mel"


def test_a_first_cell_without_a_feature_hides_no_column():
    X = pd.DataFrame({"image": pd.Series([None, np.zeros((4, 6))], dtype=object)})
    assert feature_column(X, "auto") == "image"


@pytest.mark.parametrize(
    "X", [np.zeros((2, 4, 6)), np.zeros((2, 9)), ["a.wav"]], ids=["features", "waveforms", "paths"]
)
def test_what_is_no_table_has_no_column(X):
    assert feature_column(X, "auto") is None
    assert feature_column(X, None) is None
    with pytest.raises(ValueError, match="feature='log_mel' names a column, and X is no clip table"):
        feature_column(X, "log_mel")


@pytest.mark.parametrize("feature", [["log_mel"], 3])
def test_a_feature_that_is_no_name_is_refused(feature):
    with pytest.raises(TypeError, match=r"feature=.* is a .*; the name of a column or 'auto' is expected"):
        feature_column(table(log_mel=(4, 6)), feature)


def test_a_column_that_came_after_the_last_transformer_is_no_longer_passed_over():
    X = LogMelTransformer(n_mels=8).fit_transform(pd.DataFrame({"waveform": [np.zeros(2000), np.zeros(2000)]}))
    assert feature_column(X, "auto") == "log_mel"
    with pytest.raises(ValueError, match=r"several feature columns: \['log_mel', 'mine'\]"):
        feature_column(X.assign(mine=[np.zeros((4, 6))] * 2), "auto")


def test_a_spectrum_of_the_last_transformer_is_not_passed_over():
    X = pd.DataFrame({"waveform": list(np.random.default_rng(0).standard_normal((3, 2000)))})
    model = make_pipeline(LogMelTransformer(n_mels=8), TWFRTransformer(flatten=False), TWFRDetector())
    with pytest.raises(ValueError, match="The last transformer wrote the column 'twfr', whose cells are not of shape"):
        model.fit(X)


def test_what_was_fitted_on_waveforms_reads_waveforms_again():
    X = pd.DataFrame({"waveform": list(np.random.default_rng(0).standard_normal((6, 2000)))})
    detector = TWFRDetector().fit(X)
    with_features = LogMelTransformer(n_mels=8).fit_transform(X)
    np.testing.assert_array_equal(detector.score_samples(with_features), detector.score_samples(X))


def test_two_candidates_are_refused_with_both_names():
    X = table(log_mel=(4, 6), cochleagram=(5, 6))
    message = r"several feature columns: \['log_mel', 'cochleagram'\]\. Set feature='cochleagram', for example"
    for estimator in (TWFRDetector(), AutoencoderDetector(), OSSCLDetector(), MedianFilter(), TWFRTransformer()):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X)
    with pytest.raises(ValueError, match=message):
        as_clips(X)


@pytest.mark.parametrize("name", ["log_mel", "cochleagram"])
def test_a_name_decides_between_candidates(name):
    X = table(log_mel=(4, 6), cochleagram=(5, 6))
    detector = TWFRDetector(feature=name, group_columns=()).fit(X)
    assert detector.n_features_in_ == {"log_mel": 4, "cochleagram": 5}[name]
    np.testing.assert_array_equal(detector.score_samples(X), of_column(X, name))
    assert as_clips(X, feature=name).column == name


@pytest.mark.parametrize("X", [table(log_mel=(4, 6)), pd.DataFrame({"path": ["a.wav", "b.wav"]})], ids=["mel", "path"])
def test_a_name_that_the_table_lacks_is_refused(X):
    message = rf"feature='tfgram' is no column of the clip table; its columns are \[.*'{X.columns[-1]}'\]"
    for estimator in (
        TWFRDetector(feature="tfgram"),
        MedianFilter(feature="tfgram"),
        TWFRTransformer(feature="tfgram"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X)


def test_an_estimator_of_waveforms_reads_no_column(clips):
    with_mel = clips.assign(log_mel=[np.zeros((4, 6))] * len(clips), other=[np.zeros((5, 6))] * len(clips))
    assert as_clips(with_mel, feature=None).kind == "waveform"
    assert LogMelTransformer(n_mels=7).fit_transform(with_mel)["log_mel"][0].shape[0] == 7


def test_the_last_transformer_decides(clips):
    tfgram = TFgramTransformer(OSSCLDetector(("log_mel", "tfgram"), **SMALL))
    pipeline = make_pipeline(LogMelTransformer(n_mels=20), tfgram, TWFRDetector(group_columns=())).fit(clips)
    both = pipeline[:-1].transform(clips)
    assert {"log_mel", "tfgram"} <= set(both.columns)
    assert pipeline[-1].n_features_in_ == both["tfgram"][0].shape[0] == 20  # of the log-mels that it was trained with
    np.testing.assert_array_equal(pipeline.score_samples(clips), of_column(both.assign(section="00"), "tfgram"))
    named = make_pipeline(*pipeline[:-1], TWFRDetector(feature="log_mel", group_columns=())).fit(clips)
    np.testing.assert_array_equal(named.score_samples(clips), of_column(both.assign(section="00"), "log_mel"))


def test_the_note_of_a_transformer_survives_what_is_done_to_rows(clips):
    both = LogMelTransformer(n_mels=8).fit_transform(clips.assign(other=[np.zeros((5, 6))] * len(clips)))
    for X in (both, both.iloc[1:], both[both["section"] == "00"], both.reset_index(drop=True), both.copy()):
        assert feature_column(X, "auto") == "log_mel"
    assert feature_column(pickle.loads(pickle.dumps(both)), "auto") == "log_mel"


def test_a_noted_column_that_was_dropped_decides_nothing():
    X = note_feature(table(log_mel=(4, 6), cochleagram=(5, 6)), "log_mel")
    assert feature_column(X, "auto") == "log_mel"
    assert feature_column(X.drop(columns="log_mel"), "auto") == "cochleagram"


def test_a_transformer_leaves_the_notes_of_its_input_alone(clips):
    before = dict(clips.attrs)
    LogMelTransformer(n_mels=8).fit_transform(clips)
    assert clips.attrs == before


def test_the_column_of_the_fit_is_the_one_read_later():
    X = table(log_mel=(4, 6))
    detector = TWFRDetector(group_columns=()).fit(X)
    expected = detector.score_samples(X)
    more = note_feature(X.assign(cochleagram=[np.ones((5, 6))] * 2), "cochleagram")
    np.testing.assert_array_equal(detector.score_samples(more), expected)
    np.testing.assert_array_equal(MedianFilter(size=3).fit(X).transform(more)["cochleagram"][0], np.ones((5, 6)))


def test_the_column_of_the_fit_is_missed_by_name():
    detector = TWFRDetector(group_columns=()).fit(table(log_mel=(4, 6)))
    with pytest.raises(
        ValueError, match="X has the feature column 'cochleagram', but TWFRDetector was fitted on 'log_mel'"
    ):
        detector.score_samples(table(cochleagram=(4, 6)).assign(path="a.wav"))


def test_fit_anew_reads_another_column():
    detector = TWFRDetector(group_columns=()).fit(table(log_mel=(4, 6)))
    X = table(cochleagram=(5, 6))
    np.testing.assert_array_equal(detector.fit(X).score_samples(X), of_column(X, "cochleagram"))


def test_check_clips_reads_auto_and_remembers_it():
    estimator, X = TWFRDetector(), table(cochleagram=(5, 6))
    assert check_clips(estimator, X, reset=True).column == "cochleagram"
    assert check_clips(estimator, X.assign(log_mel=X["cochleagram"]), reset=False).column == "cochleagram"


def test_median_filter_replaces_the_column_that_it_reads():
    X = table(cochleagram=(5, 40))
    result = MedianFilter(size=3).fit_transform(X)
    assert list(result.columns) == ["section", "cochleagram"]
    expected = MedianFilter(size=3).fit_transform(np.stack(X["cochleagram"]))
    np.testing.assert_array_equal(np.stack(result["cochleagram"]), expected)
    assert not np.array_equal(X["cochleagram"][0], expected[0])


def test_median_filter_replaces_what_the_last_transformer_wrote():
    X = note_feature(table(log_mel=(4, 40), cochleagram=(5, 40)), "log_mel")
    result = MedianFilter(size=3).fit_transform(X)
    assert not np.array_equal(result["log_mel"][0], X["log_mel"][0])
    np.testing.assert_array_equal(result["cochleagram"][0], X["cochleagram"][0])
    assert feature_column(result, "auto") == "log_mel"
    named = MedianFilter(size=3, feature="cochleagram").fit_transform(X)
    np.testing.assert_array_equal(named["log_mel"][0], X["log_mel"][0])
    assert feature_column(named, "auto") == "cochleagram"
