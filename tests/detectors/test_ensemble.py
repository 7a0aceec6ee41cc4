import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skasd.datasets import make_machine_clips
from skasd.detectors import EnsembleDetector, StatClusterDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_scorer
from skasd.model_selection import DCASESplit
from skasd.objectives import MobileFaceNetOptions
from skasd.scoring import KNNScorer

MEAN, LOUD = TWFRDetector(r=1.0), TWFRDetector(r=0.5)
BOTH = [("mean", MEAN), ("loud", LOUD)]
SMALL_NETWORK = StatClusterDetector(
    branches=("log_mel",),
    network=MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16),
    frontend=LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile"),
    max_epochs=1,
    device="cpu",
)


class Level(BaseEstimator):
    """Anomaly score: `slope` times a time point of a clip, plus `shift`."""

    def __init__(self, slope=1.0, shift=0.0, position=0):
        self.slope = slope
        self.shift = shift
        self.position = position

    def fit(self, X, y=None):
        self.n_clips_ = len(X)
        return self

    def score_samples(self, X):
        waveforms = X["waveform"] if hasattr(X, "columns") else X
        return -(self.slope * np.array([float(waveform[self.position]) for waveform in waveforms]) + self.shift)


class Seeded(Level):
    def __init__(self, random_state=None):
        self.random_state = random_state
        super().__init__()


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "valve"), n_train=30, duration=1.0, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"].reset_index(drop=True)


def published(weights=None, combine="mean"):
    """Two systems with the training scores of the specification."""
    detector = EnsembleDetector([("first", Level()), ("second", Level())], weights=weights, combine=combine)
    detector._weights, detector._combine = detector._checked(), combine
    detector.scales_ = {"": np.array([[0.0, 1, 2, 3], [0, 20, 20, 40]])}
    return detector


FIRST_AND_SECOND = np.array([[1.0, 2, 3, 4], [10, 10, 30, 50]])
NO_GROUPS = np.full(4, "")


def test_weighted_mean_of_standardised_scores():
    expected = [-0.620476, -0.322333, 0.918618, 2.159570]
    np.testing.assert_allclose(published([1, 2])._combined(FIRST_AND_SECOND, NO_GROUPS), expected, atol=1e-6)
    np.testing.assert_allclose(published([1 / 3, 2 / 3])._combined(FIRST_AND_SECOND, NO_GROUPS), expected, atol=1e-6)


def test_ranks_among_the_normal_clips():
    ranks = published(combine="rank")._combined(np.array([[0.0, 1.5, 3, 3 + np.sqrt(1.25)]] * 2), NO_GROUPS)
    first = [1 / 4, 2.5 / 4, 1, 1 + 1 / 8]  # one standard deviation beyond is half a rank more
    of_second = published([0, 1], combine="rank")._combined(np.array([[0.0, 1.5, 3, 3 + np.sqrt(1.25)]] * 2), NO_GROUPS)
    np.testing.assert_allclose(2 * ranks - of_second, first)


def test_scores_of_anomalies_differ_by_rank_too():
    ranks = published(combine="rank")._combined(np.array([[5.0, 6, 7, 8]] * 2) * [[1], [100]], NO_GROUPS)
    assert (np.diff(ranks) > 0).all()


@pytest.mark.parametrize("combine", ["mean", "rank"])
def test_unit_and_zero_of_a_member_are_of_no_account(combine, train, machines):
    settings = {"combine": combine, "random_state": 0}
    plain = EnsembleDetector([("a", Level()), ("b", Level(position=9))], **settings).fit(train)
    other = EnsembleDetector([("a", Level(7.0, 3.0)), ("b", Level(0.1, -20.0, position=9))], **settings).fit(train)
    np.testing.assert_allclose(other.score_samples(machines.data), plain.score_samples(machines.data), atol=1e-9)


def test_held_out_clips_set_the_scale_of_their_machine_type(train):
    detector = EnsembleDetector([("level", Level())], held_out=0.2, random_state=0).fit(train)
    assert {name: scale.shape for name, scale in detector.scales_.items()} == {
        "": (1, 12),
        "fan": (1, 6),
        "valve": (1, 6),
    }
    levels = [waveform[0] for waveform in train["waveform"][train["machine_type"] == "valve"]]
    assert set(detector.scales_["valve"][0]) <= set(np.float64(levels))
    normal = detector.scales_["valve"][0]
    valve = train[train["machine_type"] == "valve"]
    expected = (np.array([waveform[0] for waveform in valve["waveform"]]) - normal.mean()) / normal.std()
    np.testing.assert_allclose(-detector.score_samples(valve), expected, rtol=1e-5)


def test_members_are_fitted_to_all_clips(train):
    detector = EnsembleDetector([("level", Level())], random_state=0).fit(train)
    assert detector.estimators_[0].n_clips_ == len(train)
    assert detector.named_estimators_["level"] is detector.estimators_[0]


def test_members_of_the_user_are_untouched(train):
    member = TWFRDetector(r=1.0)
    EnsembleDetector([("mean", member)], random_state=0).fit(train)
    assert not hasattr(member, "offset_")


def test_one_member_gives_its_own_order(train, machines):
    alone = clone(MEAN).fit(train)
    detector = EnsembleDetector([("mean", MEAN)], random_state=0).fit(train)
    for machine_type in ("fan", "valve"):
        clips = machines.data[machines.data["machine_type"] == machine_type]
        order = np.argsort(alone.score_samples(clips))
        np.testing.assert_array_equal(np.argsort(detector.score_samples(clips)), order)


def test_a_machine_type_of_one_clip_takes_the_scale_of_all(train):
    few = train.drop(index=train.index[train["machine_type"] == "valve"][1:])
    detector = EnsembleDetector([("level", Level())], random_state=0).fit(few)
    assert set(detector.scales_) == {"", "fan"}
    assert np.isfinite(detector.score_samples(train)).all()


def test_members_may_be_pipelines(train, machines):
    pipeline = make_pipeline(LogMelTransformer(norm=None, mel_scale="htk"), TWFRDetector(r=1.0))
    through = EnsembleDetector([("mean", pipeline)], random_state=0).fit(train).score_samples(machines.data)
    alone = EnsembleDetector([("mean", MEAN)], random_state=0).fit(train).score_samples(machines.data)
    np.testing.assert_allclose(through, alone, rtol=1e-6)


def test_seeds_of_members_come_from_the_ensemble(train):
    members = [("a", Seeded()), ("b", Seeded(3)), ("c", make_pipeline(Seeded()))]
    first, second = (EnsembleDetector(members, random_state=0).fit(train) for _ in range(2))
    states = [member.get_params() for member in first.estimators_]
    assert states[1]["random_state"] == 3
    assert states[0]["random_state"] is not None
    assert states[2]["seeded__random_state"] not in (None, states[0]["random_state"])
    assert [member.get_params()["random_state"] for member in second.estimators_[:2]] == [
        states[0]["random_state"],
        states[1]["random_state"],
    ]


def test_nested_parameters_and_members_can_be_set():
    detector = EnsembleDetector(BOTH).set_params(mean__reg_covar=5.0, loud=TWFRDetector(r=0.0))
    assert detector.get_params()["mean__reg_covar"] == 5.0
    assert dict(detector.estimators)["loud"].r == 0.0
    assert clone(detector).get_params()["loud__r"] == 0.0


@pytest.mark.filterwarnings("ignore:frontend is not used for the spectrograms:UserWarning")
def test_a_pipeline_that_ends_in_a_network_may_be_a_member(train):
    pipeline = make_pipeline(SMALL_NETWORK.frontend, SMALL_NETWORK)
    detector = EnsembleDetector([("network", pipeline), ("mean", MEAN)], random_state=0)
    detector.set_params(network__statclusterdetector__scorer=KNNScorer(), network__statclusterdetector__max_epochs=2)
    fitted = detector.fit(train)
    assert np.isfinite(fitted.score_samples(train)).all()
    assert len(fitted.named_estimators_["network"][-1].history_) == 2


def test_grid_search_chooses_weights_and_members(machines):
    grid = {"weights": [None, [1, 0]], "loud__r": [0.5, 0.0]}
    search = GridSearchCV(
        EnsembleDetector(BOTH, random_state=0), grid, scoring=auc_scorer, cv=DCASESplit(), error_score="raise"
    )
    search.fit(machines.data, machines.target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).sum() == 4


def test_a_bad_clip_is_named_by_its_place_among_all(train):
    waveforms = train["waveform"].tolist()
    waveforms[0] = waveforms[0][:-1]  # clips of unequal length are looked at one by one, by the detectors inside
    waveforms[50] = np.full(16000, np.nan, dtype=np.float32)
    with pytest.raises(ValueError, match=r"1 of 60 clips cannot be used:\n  clip 50 ?.*holds NaN"):
        EnsembleDetector(BOTH, random_state=0).fit(waveforms)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"estimators": []}, ValueError, r"estimators=\[\]; a list of \(name, detector\) is expected"),
        ({"estimators": [MEAN, LOUD]}, ValueError, r"a list of \(name, detector\) is expected"),
        ({"estimators": [("mean", MEAN), ("mean", LOUD)]}, ValueError, "Names provided are not unique"),
        ({"estimators": [("me__an", MEAN)]}, ValueError, "must not contain __"),
        ({"estimators": [("mel", LogMelTransformer())]}, TypeError, "'mel' of estimators is .* has no score_samples"),
        ({"combine": "max"}, ValueError, "combine='max' is unknown"),
        ({"held_out": 0}, ValueError, r"held_out=0.0 is out of range; a number in \(0, 0.5\]"),
        ({"weights": [1]}, ValueError, r"weights=\[1\]; 2 numbers of at least 0 are expected"),
        ({"weights": [1, -1]}, ValueError, "numbers of at least 0"),
        ({"weights": [0, 0]}, ValueError, "not all 0"),
        ({"weights": [1, np.nan]}, ValueError, "2 numbers"),
        ({"weights": ["a", 1]}, ValueError, r"weights=\['a', 1\]; 2 numbers"),
        ({"weights": {"mean": 1}}, ValueError, r"weights=\{'mean': 1\}; 2 numbers"),
        (
            {"group_columns": "machine_type"},
            TypeError,
            "group_columns='machine_type' is a str; a tuple of column names",
        ),
        ({"group_columns": None}, TypeError, "group_columns=None is a NoneType"),
        ({"verbose": None}, TypeError, "verbose=None is a NoneType"),
        (
            {"estimators": [("mean", TWFRDetector)]},
            TypeError,
            r"'mean' of estimators is the class TWFRDetector; give a",
        ),
    ],
)
def test_bad_parameters_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        EnsembleDetector(**{"estimators": BOTH, **settings}).fit(train)


@pytest.mark.parametrize("loud", [1e6, 1e300])
def test_no_single_loud_score_sways_a_mean_of_ranks(loud):
    ranks = published(combine="rank")._combined(np.array([[loud], [10.0]]), NO_GROUPS[:1])
    mean = published()._combined(np.array([[loud], [10.0]]), NO_GROUPS[:1])
    assert ranks[0] <= 1.25
    assert mean[0] > 1e4


@pytest.mark.parametrize("seed", range(15))
def test_no_section_or_domain_is_held_out_as_a_whole(seed, train):
    few = train[train["machine_type"] == "fan"].iloc[:13]
    sections, domains = ["00"] * 12 + ["01"], ["source"] * 9 + ["target"] * 4
    few = few.assign(section=sections, domain=domains)
    detector = EnsembleDetector([("network", SMALL_NETWORK)], random_state=seed).fit(few)
    assert 1 <= detector.scales_[""].shape[1] <= 4


@pytest.mark.parametrize("n_clips", [3, 4, 7, 12])
@pytest.mark.parametrize("combine", ["mean", "rank"])
def test_few_clips_set_a_scale_too(n_clips, combine, train):
    """The unit of a detector is of no account: with one held-out clip, nothing was scaled."""
    few = train[train["machine_type"] == "fan"].iloc[:n_clips]

    def fitted(slope):
        members = [("one", Level(slope)), ("other", Level(position=1))]
        return EnsembleDetector(members, combine=combine, random_state=0).fit(few)

    small, large = fitted(1.0), fitted(1e6)
    assert small.scales_[""].shape == (2, n_clips)
    np.testing.assert_allclose(small.score_samples(train), large.score_samples(train), rtol=1e-6)


def test_every_clip_is_held_out_once_where_clips_are_few(train):
    seen = []

    class Watched(Level):
        def fit(self, X, y=None):
            self.learnt_ = set(X.index)
            return self

        def score_samples(self, X):
            seen.append((self.learnt_, set(X.index)))
            return super().score_samples(X)

    few = train[train["machine_type"] == "fan"].iloc[:7]
    EnsembleDetector([("level", Watched())], random_state=0).fit(few)
    assert len(seen) == 3
    assert all(not learnt & kept and learnt | kept == set(few.index) for learnt, kept in seen)
    assert set.union(*(kept for _, kept in seen)) == set(few.index)


@pytest.mark.filterwarnings("ignore:Few normal clips:UserWarning")
def test_two_clips_set_no_scale_and_the_user_is_told(train):
    with pytest.warns(
        UserWarning, match="2 clips, and fewer than 3 different ones of each machine, are too few to stand"
    ):
        EnsembleDetector([("level", Level())]).fit(train[:2])


def test_a_single_clip_is_refused(train):
    with pytest.raises(ValueError, match="fit was given 1 sample; one machine needs at least two"):
        EnsembleDetector([("level", Level())]).fit(train[:1])


def test_one_clip_of_each_machine_is_refused_with_their_number(train):
    one_each = train.groupby("machine_type").head(1)
    with pytest.raises(ValueError, match="fit was given 2 samples, 1 of each machine; one machine needs at least two"):
        EnsembleDetector([("level", Level())]).fit(one_each)


@pytest.mark.filterwarnings("always:Few normal clips:UserWarning")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_detectors_of_an_ensemble_say_nothing_about_their_own_thresholds(train, n_jobs):
    few = train[train["machine_type"] == "fan"].iloc[:12]
    with pytest.warns(UserWarning, match="takes at least 19 normal clips") as alone:
        TWFRDetector(contamination=0.05).fit(few)
    assert len(alone) == 1
    with pytest.warns(UserWarning, match="takes at least 19 normal clips") as together:
        EnsembleDetector(
            [(name, clone(one).set_params(contamination=0.05)) for name, one in BOTH],
            contamination=0.05, random_state=0, n_jobs=n_jobs,
        ).fit(few)  # fmt: skip
    assert len(together) == 1
