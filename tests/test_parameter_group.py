"""Groups of parameters inside an estimator: scikit-learn sees through them, also where they are None."""

import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skasd._parameter_group import HasParameterGroups, ParameterGroup, changed_parameters, check_flags, refuse_idle
from skasd.clustering import ClipStatistics
from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
    stat_cluster_ensemble,
)
from skasd.features import LogMelTransformer, TFgramTransformer
from skasd.metrics import auc_scorer
from skasd.model_selection import NormalOnlySplit
from skasd.objectives import MobileFaceNetOptions, SegmentNetOptions
from skasd.training import TrainingOptions

DETECTORS = [
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
]
GROUPS = [(detector, name) for detector in DETECTORS for name in detector._parameter_groups]


@dataclass(repr=False)
class Sizes(ParameterGroup):
    width: int = 4
    factor: float = 1.0
    names: tuple = ("one",)
    is_deep: bool = False

    def check(self):
        if self.width < 1:
            raise ValueError(f"width={self.width} is too small.")


class Estimator(HasParameterGroups, BaseEstimator):
    _parameter_groups: ClassVar = {"sizes": Sizes}

    def __init__(self, sizes=None, weight=1.0):
        self.sizes = sizes
        self.weight = weight


def test_parameters_of_a_group_are_there_while_it_is_none():
    expected = {"weight": 1.0, "sizes": None, "sizes__width": 4, "sizes__factor": 1.0}
    expected |= {"sizes__names": ("one",), "sizes__is_deep": False}
    assert Estimator().get_params() == expected
    assert Estimator().get_params(deep=False) == {"weight": 1.0, "sizes": None}


def test_parameters_of_a_given_group_are_its_own():
    sizes = Sizes(width=7)
    params = Estimator(sizes).get_params()
    assert params["sizes"] is sizes
    assert params["sizes__width"] == 7


def test_setting_a_parameter_of_none_makes_the_group():
    estimator = Estimator().set_params(sizes__width=7, weight=2.0)
    assert estimator.sizes == Sizes(width=7)
    assert estimator.weight == 2.0


def test_setting_other_parameters_leaves_none():
    assert Estimator().set_params(weight=2.0).sizes is None
    assert Estimator().set_params().sizes is None


def test_setting_a_parameter_of_a_group_leaves_its_others():
    estimator = Estimator(Sizes(width=7)).set_params(sizes__factor=0.5)
    assert estimator.sizes == Sizes(width=7, factor=0.5)


@pytest.mark.parametrize(("group", "width"), [(None, 4), (Sizes(width=9), 9)], ids=["none", "group"])
def test_a_group_and_its_parameters_can_be_set_at_once(group, width):
    estimator = Estimator(Sizes(width=7)).set_params(sizes__factor=0.5, sizes=clone(group) if group else None)
    assert estimator.sizes == Sizes(width=width, factor=0.5)


def test_two_estimators_that_make_their_groups_do_not_share_them():
    one, other = Estimator().set_params(sizes__width=7), Estimator().set_params(sizes__width=8)
    assert (one.sizes.width, other.sizes.width) == (7, 8)
    assert Estimator().get_params()["sizes__width"] == 4


def test_unknown_parameters_are_refused_by_name():
    with pytest.raises(
        ValueError, match=r"Sizes has no parameter 'depth', as in sizes__depth; it has width, factor, names, is_deep"
    ):
        Estimator().set_params(sizes__depth=3)
    with pytest.raises(ValueError, match="Invalid parameter 'other'"):
        Estimator().set_params(other__depth=3)


def test_a_clone_has_a_group_of_its_own():
    estimator = Estimator(Sizes(width=7))
    copy = clone(estimator)
    assert copy.sizes == estimator.sizes
    assert copy.sizes is not estimator.sizes
    copy.set_params(sizes__width=8)
    assert estimator.sizes.width == 7
    assert clone(Estimator()).sizes is None


def test_init_keeps_the_very_group_that_it_is_given():
    sizes = Sizes()
    assert Estimator(sizes).sizes is sizes


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"width": 3}, r"sizes=\{'width': 3\} is of type dict"),
        (Sizes, "is the class Sizes"),
        (TrainingOptions(), r"sizes=TrainingOptions\(\) is of type TrainingOptions"),
        ("auto", "sizes='auto' is of type str"),
    ],
    ids=["dict", "class", "other group", "text"],
)
def test_another_kind_of_group_is_refused(value, what):
    with pytest.raises(TypeError, match=what + r"; Sizes\(\.\.\.\) or None is expected"):
        Estimator(value)._group("sizes")


def test_a_group_is_checked_when_it_is_used():
    estimator = Estimator().set_params(sizes__width=0)
    with pytest.raises(ValueError, match="width=0 is too small"):
        estimator._group("sizes")
    assert Estimator()._group("sizes") == Sizes()
    assert estimator.set_params(sizes__width=3)._group("sizes") is estimator.sizes


def test_what_was_changed():
    assert changed_parameters(Sizes()) == {}
    assert changed_parameters(Sizes(4, 1, ("one",), is_deep=False)) == {}  # an equal int for a float is no change
    assert changed_parameters(Sizes(factor=np.float64(1.0), width=np.int64(4))) == {}
    given = {"width": 5, "factor": 1.5, "names": ("one", "two"), "is_deep": True}
    assert changed_parameters(Sizes(**given)) == given
    assert changed_parameters(Sizes(is_deep=0, width=True)) == {"is_deep": 0, "width": True}
    assert changed_parameters(Estimator(weight=2.0)) == {"weight": 2.0}
    assert repr(Sizes(width=5, names=("two",))) == "Sizes(width=5, names=('two',))"


def test_a_parameter_without_effect_is_refused_with_what_to_do():
    refuse_idle(Sizes(), ["width", "factor"], "mode='off'")
    refuse_idle(Sizes(is_deep=True), ["width", "factor"], "mode='off'")
    message = "width=5 has no effect with mode='off'; leave width at its default 4, or change mode."
    with pytest.raises(ValueError, match=message):
        refuse_idle(Sizes(width=5), ["factor", "width"], "mode='off'")
    with pytest.raises(
        ValueError, match=r"weight=2\.0 has no effect with sizes=None; leave weight at its default 1\.0"
    ):
        refuse_idle(Estimator(weight=2.0), ["weight"], "sizes=None")


@pytest.mark.parametrize("value", [1, "yes", None])
def test_flags_are_true_or_false(value):
    check_flags(Sizes(is_deep=True), "is_deep")
    with pytest.raises(ValueError, match="is_deep="):
        check_flags(Sizes(is_deep=value), "is_deep")


@pytest.mark.parametrize(("detector", "name"), GROUPS, ids=lambda part: getattr(part, "__name__", part))
def test_every_group_of_every_detector_can_be_reached(detector, name):
    kind, made = detector._parameter_groups[name], detector()
    assert getattr(made, name) is None
    inner = kind().get_params()
    assert {f"{name}__{key}": value for key, value in inner.items()}.items() <= made.get_params().items()
    key = next(iter(inner))
    made.set_params(**{f"{name}__{key}": "another"})
    assert getattr(made, name) == kind(**{key: "another"})
    copy = clone(made)
    assert getattr(copy, name) == getattr(made, name)
    assert getattr(copy, name) is not getattr(made, name)
    assert f"{name}={kind.__name__}({key}='another')" in repr(made)


@pytest.mark.parametrize(("detector", "name"), GROUPS, ids=lambda part: getattr(part, "__name__", part))
def test_another_kind_is_refused_by_every_detector(detector, name):
    X = np.random.default_rng(0).standard_normal((4, 4000))
    kind = detector._parameter_groups[name]
    for value in ({}, kind, Sizes()):
        with pytest.raises(TypeError, match=rf"{name}=.*; {kind.__name__}\(\.\.\.\) or None is expected"):
            detector().set_params(**{name: value}).fit(X)


def test_groups_are_reached_through_pipelines_transformers_and_ensembles():
    pipeline = make_pipeline(LogMelTransformer(), OSSCLDetector())
    pipeline.set_params(osscldetector__training__weight_decay=0.1, osscldetector__network__embedding_dim=8)
    assert pipeline[-1].training == TrainingOptions(weight_decay=0.1)
    assert pipeline[-1].network == MobileFaceNetOptions(embedding_dim=8)
    image = TFgramTransformer(OSSCLDetector()).set_params(detector__training__patience=3)
    assert image.detector.training.patience == 3
    ensemble = stat_cluster_ensemble(clusters__network__embedding_dim=8)
    assert ensemble.get_params()["clusters__network__embedding_dim"] == 8
    assert ensemble.get_params()["metadata__network__embedding_dim"] == 128
    assert SelfSupervisedDetector().set_params(statistics__r=(1.0,)).statistics == ClipStatistics(r=(1.0,))


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(
        ("fan", "pump"), n_sections=1, n_train=8, n_test_normal=4, n_test_anomaly=4, duration=0.25, random_state=0
    )


@pytest.fixture(scope="module")
def tiny():
    frontend = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, n_jobs=1)
    network = MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8)
    settings = {"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0, "n_jobs": 1}
    return OSSCLDetector(("log_mel",), frontend=frontend, network=network, **settings)


def test_a_grid_reaches_into_groups(machines, tiny):
    grid = {"training__weight_decay": [0.0, 0.3], "network__embedding_dim": [4, 8]}
    search = GridSearchCV(tiny, grid, scoring=auc_scorer, cv=NormalOnlySplit(2, random_state=0), error_score="raise")
    search.fit(machines.data, machines.target)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best, detector = search.best_params_, search.best_estimator_
    assert detector.training_.weight_decay == best["training__weight_decay"]
    assert detector.transform(machines.data).shape[1] == best["network__embedding_dim"]
    assert detector.network.bottlenecks == ((1, 8, 1, 2),)
    assert tiny.training is None
    assert tiny.network.embedding_dim == 8


def test_a_group_that_changes_after_the_fit_changes_no_score(machines, tiny):
    detector = clone(tiny).set_params(training__ema_decay=0.5).fit(machines.data)
    scores = detector.score_samples(machines.data)
    detector.set_params(network__embedding_dim=4, network__scale=3.0, training__ema_decay=None)
    np.testing.assert_array_equal(detector.score_samples(machines.data), scores)
    assert detector.training_.ema_decay == 0.5


def test_a_fitted_detector_with_groups_can_be_pickled(machines, tiny):
    detector = clone(tiny).set_params(training__weight_decay=0.1).fit(machines.data)
    loaded = pickle.loads(pickle.dumps(detector))
    assert loaded.get_params()["training"] == TrainingOptions(weight_decay=0.1)
    np.testing.assert_array_equal(loaded.score_samples(machines.data), detector.score_samples(machines.data))


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (
            OSSCLDetector(contrastive_weight=0, temperature=0.1),
            r"temperature=0\.1 has no effect with contrastive_weight=0; leave temperature at its default 0\.02, or change "
            r"contrastive_weight\.",
        ),
        (OSSCLDetector(mixup_alpha=None, mix_margin="both"), "mix_margin='both' has no effect with mixup_alpha=None"),
        (
            OSSCLDetector(training=TrainingOptions(schedule="constant", schedule_start=3)),
            "schedule_start=3 has no effect with schedule='constant'; leave schedule_start at its default 0, or change ",
        ),
        (
            JointAECNNDetector(training=TrainingOptions(min_learning_rate=0.0)),
            "min_learning_rate=0.0 has no effect with schedule='halved_epochs'",
        ),
        (
            AutoencoderDetector(training=TrainingOptions(channels_last=False)),
            "channels_last=False has no effect with AutoencoderDetector",
        ),
        (AutoencoderDetector(shrinkage=0.1), "shrinkage=0.1 has no effect with score_by='mse'"),
        (
            ContrastiveSpectrumDetector(network=SegmentNetOptions(segment_length=None, n_segments=3)),
            "n_segments=3 has no effect with segment_length=None",
        ),
        (
            ContrastiveSpectrumDetector(network=SegmentNetOptions(encoder="byol_a", bottlenecks="2021")),
            "bottlenecks='2021' has no effect with encoder='byol_a'",
        ),
        (JointAECNNDetector().set_params(network__autoencoder=False, temperature=0.1), "temperature=0.1 has no effect"),
        (StatClusterDetector(contrast="off", temperature=0.2), "temperature=0.2 has no effect with contrast='off'"),
        (SelfSupervisedDetector(head="adacos", n_subclusters=2), "n_subclusters=2 has no effect with head='adacos'"),
    ],
    ids=lambda part: type(part).__name__ if not isinstance(part, str) else "",
)
def test_detectors_refuse_parameters_without_effect(detector, message):
    with pytest.raises(ValueError, match=message):
        detector.fit(np.random.default_rng(0).standard_normal((4, 4000)))
