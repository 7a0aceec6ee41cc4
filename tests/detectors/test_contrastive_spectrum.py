import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from skasd.augmentations import SpectrumAugmentation
from skasd.datasets import make_machine_clips
from skasd.detectors import ContrastiveSpectrumDetector, JointAECNNDetector, OSSCLDetector, StatClusterDetector
from skasd.features import LogMelTransformer, TFgramTransformer
from skasd.metrics import auc_scorer
from skasd.model_selection import NormalOnlySplit
from skasd.networks import BYOLANet
from skasd.objectives import JointNetOptions, MobileFaceNetOptions, PatchOptions, SegmentNetOptions
from skasd.scoring import KMeansScorer, KNNScorer, MahalanobisScorer
from skasd.training import TrainingOptions

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)
SIZES = {
    "network__bottlenecks": ((1, 16, 1, 2),),
    "network__embedding_dim": 16,
    "network__segment_length": 32,
}
USUAL = {"frontend": FRONT_END, "max_epochs": 1, "device": "cpu", "random_state": 0}


def small(augmentation=None, **settings):
    """A detector of this small size, which learns from all clips unless a setting holds some out."""
    usual = USUAL if "network" in settings else {**USUAL, **SIZES}
    held_out = "auto" if "training__validation_fraction" in settings else 0
    return ContrastiveSpectrumDetector(augmentation).set_params(
        **{**usual, "training__calibration_fraction": held_out, **settings}
    )


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan",), n_sections=2, n_train=20, target_share=0.3, duration=1.0, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"]


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"]


@pytest.fixture(scope="module")
def fitted(train):
    return small().fit(train)


def test_classes_are_those_of_the_table(fitted):
    assert fitted.classes_.tolist() == ["fan/00", "fan/01"]
    assert fitted.label_source_ == "columns"
    assert set(fitted.scorer_) == {"", "fan/00", "fan/01"}
    assert isinstance(fitted.scorer_[""].model, KMeansScorer)


def test_centres_of_source_clips_and_all_target_clips(fitted, train):
    of_machine = train[train["section"] == "00"]
    is_target = (of_machine["domain"] == "target").to_numpy()
    centers = fitted.scorer_["fan/00"].model.centers_
    np.testing.assert_allclose(centers[-is_target.sum() :], fitted.transform(of_machine)[is_target], atol=1e-6)


def test_embeddings_are_of_unit_length(fitted, test):
    embedding = fitted.transform(test)
    assert embedding.shape == (len(test), 16)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-6)
    assert list(fitted.get_feature_names_out())[:1] == ["contrastivespectrumdetector0"]


def test_no_bank_is_left(fitted):
    assert fitted.network_.normalise.bank is None


@pytest.mark.parametrize("scorer", [KNNScorer(), MahalanobisScorer(), IsolationForest()], ids=str)
def test_any_back_end(train, test, scorer):
    assert np.isfinite(small(scorer=scorer).fit(train).score_samples(test)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"contrast": "pairwise"},
        {"same_domain": "pull"},
        {"same_domain": "push"},
        {"network__projector": "three_layers"},
        {"network__projector": "off", "training__ema_decay": None},
        {"network__segment_length": None},
        {"network__n_segments": 1},
        {"training__sampling": "balanced"},
        {"training__sampling": "shuffled", "training__validation_fraction": 0.2, "training__patience": 1},
        {"n_clusters": 2},
    ],
    ids=str,
)
def test_every_option_changes_the_scores(fitted, train, test, settings):
    other = small(**settings).fit(train)
    assert np.isfinite(other.score_samples(test)).all()
    assert not np.allclose(other.score_samples(test), fitted.score_samples(test))


@pytest.mark.parametrize(
    "settings",
    [
        {"split_frequency": 0.0},
        {"split_frequency": "auto"},
        {"mask": "hard"},
        {"mask_form": "blend"},
        {"invert_mask": True},
        {"mix_ratio": (0.1, 0.6)},
        {"mix_space": "power"},
        {"bank_size": 4},
        {"bank_scope": "same_class"},
        {"resize_crop": True},
        {"resize_crop": True, "frequency_scale": (0.8, 1.25)},
        {"fader": True},
        {"pre_norm": "running"},
        {"post_norm": False},
    ],
    ids=str,
)
def test_every_augmentation_changes_the_scores(fitted, train, test, settings):
    other = small(SpectrumAugmentation(**settings)).fit(train)
    assert np.isfinite(other.score_samples(test)).all()
    assert not np.allclose(other.score_samples(test), fitted.score_samples(test))


def test_the_other_encoder(train, test):
    detector = small(network=SegmentNetOptions("byol_a", embedding_dim=16, segment_length=32)).fit(train)
    assert isinstance(detector.network_.encoder, BYOLANet)
    assert detector.transform(test).shape == (len(test), 16)


def test_a_classifier_scores_by_the_machine_a_clip_claims_to_be(train, test):
    detector = small(classification_weight=1.0, score_with="label", max_epochs=4).fit(train)
    surprise = -detector.score_samples(test)
    assert (surprise > 0).all()
    swapped = test.assign(section=test["section"].map({"00": "01", "01": "00"}))
    other = -detector.score_samples(swapped)
    np.testing.assert_allclose(np.exp(-surprise) + np.exp(-other), 1, rtol=1e-6)  # two classes
    detector.set_params(score_with="predicted")
    np.testing.assert_allclose(-detector.score_samples(test), np.minimum(surprise, other), rtol=1e-6)


@pytest.mark.parametrize("score_with", ["label", "predicted"])
def test_no_classifier_no_score_by_class(train, score_with):
    with pytest.raises(ValueError, match=f"score_with='{score_with}' needs a classifier, but classification_weight=0"):
        small(score_with=score_with).fit(train)


def test_unknown_machines_are_refused(fitted, test):
    with pytest.raises(ValueError, match=r"Machine 'fan/07' of .* is not among those given to fit"):
        fitted.score_samples(test.assign(section="07"))


def test_anomalies_of_machines_are_found():
    clips = make_machine_clips(("fan", "gearbox"), n_train=40, duration=3.0, severity=3.0, random_state=0)
    is_test = clips.data["split"] == "test"
    detector = small(
        network__bottlenecks=((2, 32, 1, 2), (2, 32, 1, 2)),
        network__embedding_dim=32,
        frontend=LogMelTransformer(n_fft=1024, hop_length=512, n_mels=32),
        network__segment_length=48,
        batch_size=16,
        training__ema_decay=None,
        max_epochs=8,
    ).fit(clips.data[~is_test])
    for machine_type in ("fan", "gearbox"):
        rows = (is_test & (clips.data["machine_type"] == machine_type)).to_numpy()
        assert roc_auc_score(clips.target[rows], detector.score_samples(clips.data[rows])) > 0.8


def test_a_grid_reaches_the_augmentation(machines):
    grid = GridSearchCV(
        small(SpectrumAugmentation(), max_epochs=1),
        {"augmentation__split_frequency": [0.0, 2000.0]},
        scoring=auc_scorer,
        cv=NormalOnlySplit(2, random_state=0),
        error_score="raise",
    ).fit(machines.data, machines.target)
    assert grid.best_params_["augmentation__split_frequency"] in (0.0, 2000.0)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("augmentation", "rrc", TypeError),
        ("augmentation", SpectrumAugmentation, TypeError),
        ("contrast", "triplet", ValueError),
        ("network__encoder", "resnet", ValueError),
        ("network__projector", "linear", ValueError),
        ("training__sampling", "domains", ValueError),
        ("temperature", 0.0, ValueError),
        ("network__n_segments", 0, ValueError),
        ("network__segment_length", 0, ValueError),
        ("same_domain", "yes", ValueError),
        ("classification_weight", -1.0, ValueError),
        ("contrastive_weight", 0.0, ValueError),
        ("score_with", "reconstruction", ValueError),
        ("scorer", 3, TypeError),
        ("network__bottlenecks", "2020", ValueError),
    ],
)
def test_wrong_parameters_are_named(train, name, value, error):
    with pytest.raises(error, match=name.rpartition("__")[2]):
        small(**{name: value}).fit(train) if name != "augmentation" else small(value).fit(train)


def test_a_wrong_parameter_of_the_augmentation_is_named(train):
    with pytest.raises(ValueError, match=r"mix_ratio=2\.0 is out of range"):
        small(SpectrumAugmentation(mix_ratio=2.0)).fit(train)


SMALL_NETWORK = MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16)
OTHERS = {
    "OS-SCL": OSSCLDetector(("log_mel", "tgram"), network=SMALL_NETWORK),
    "clusters": StatClusterDetector("clusters", network=SMALL_NETWORK),
    "clusters in two stages": StatClusterDetector(contrast="two_stage", network=SMALL_NETWORK),
    "joint": JointAECNNDetector(
        network=JointNetOptions(width=0.1), patches=PatchOptions(length=16, step=32), median_filter=None
    ),
}


@pytest.mark.parametrize("detector", OTHERS.values(), ids=OTHERS)
def test_other_detectors_take_the_same_augmentation(train, test, detector):
    detector.set_params(frontend=FRONT_END, max_epochs=1, device="cpu", random_state=0, augmentation=None)
    plain = detector.fit(train).score_samples(test)
    augmented = detector.set_params(augmentation=SpectrumAugmentation()).fit(train)
    scores = augmented.score_samples(test)
    assert np.isfinite(scores).all()
    assert not np.allclose(scores, plain)
    np.testing.assert_allclose(augmented.score_samples(test.iloc[3:4]), scores[3:4], rtol=1e-4)
    objective = getattr(augmented, "_evaluator", None)
    banks = [module.bank for module in objective.modules() if hasattr(module, "bank")]
    assert banks == [None]


class Louder(nn.Module):
    """Adds 10 dB in training, to show which interface an augmentation has."""

    def forward(self, x, label=None, generator=None, n_views=1):
        return x.repeat(n_views, 1, 1) + (10 if generator is not None else 0)


class OwnAugmentation:
    def check(self):
        pass

    def prepare(self, spectra):
        self.spectra = spectra
        return Louder()


def test_an_augmentation_of_one_s_own(train, test):
    own = OwnAugmentation()
    detector = small(own).fit(train)
    assert np.isfinite(detector.score_samples(test)).all()
    assert own.spectra.power.shape == (2, 16)
    assert own.spectra.n_clips == len(train)
    assert own.spectra.n_frames == 32


def test_what_an_augmentation_is_told(train):
    own = OwnAugmentation()
    small(own, network__segment_length=None).fit(train)
    log_mel = FRONT_END.fit_transform(np.stack(train["waveform"].tolist())).astype(np.float64)
    nats = log_mel * np.log(10) / 10
    assert own.spectra.mean == pytest.approx(nats.mean(), rel=1e-5)
    assert own.spectra.std == pytest.approx(nats.std(), rel=1e-5)
    is_first = (train["section"] == "00").to_numpy()
    np.testing.assert_allclose(own.spectra.power[0], (10 ** (log_mel[is_first] / 10)).mean(axis=(0, 2)), rtol=1e-4)
    assert own.spectra.frequency[0] == pytest.approx(177, abs=1)  # the first of 16 Slaney bands up to 8 kHz


def test_an_augmentation_without_log_mels_is_refused(train):
    for detector in (
        OSSCLDetector(("tgram",), augmentation=SpectrumAugmentation()),
        StatClusterDetector(branches=("tgram",), augmentation=SpectrumAugmentation()),
    ):
        with pytest.raises(ValueError, match="augmentation acts on log-mels"):
            detector.set_params(frontend=FRONT_END, max_epochs=1).fit(train)


def test_a_tfgram_of_an_augmented_detector(train):
    detector = OSSCLDetector(
        ("log_mel", "tfgram"), frontend=FRONT_END, max_epochs=1, augmentation=SpectrumAugmentation(), device="cpu"
    ).fit(train)
    images = TFgramTransformer(detector).fit(train).transform(train)
    assert np.isfinite(np.stack(images["tfgram"].tolist())).all()


def test_a_pair_of_ratios_needs_two_views(train):
    augmentation = SpectrumAugmentation(mix_ratio=(0.1, 0.6))
    with pytest.raises(ValueError, match="is a pair, for two views of each clip, but this detector uses one"):
        OSSCLDetector(("log_mel",), augmentation=augmentation).fit(train)


def test_clips_are_mixed_up_after_they_were_augmented(train):
    class Watching(Louder):
        seen = []

        def forward(self, x, label=None, generator=None, n_views=1):
            if generator is not None:
                self.seen.append(x)
            return x

    class Watched(OwnAugmentation):
        def prepare(self, spectra):
            return Watching()

    OSSCLDetector(
        ("log_mel",),
        frontend=FRONT_END,
        max_epochs=1,
        batch_size=10,
        augmentation=Watched(),
        training=TrainingOptions(calibration_fraction=0),
    ).fit(train)
    log_mel = FRONT_END.fit_transform(np.stack(train["waveform"].tolist()))
    seen = np.concatenate([x.numpy() for x in Watching.seen])
    assert len(seen) == len(train)
    order = [np.abs(log_mel - clip).max(axis=(1, 2)).argmin() for clip in seen]
    np.testing.assert_allclose(seen, log_mel[order], atol=1e-4)


def test_clusters_are_of_both_domains(machines):
    train = machines.data[(machines.data["split"] == "train") & (machines.data["section"] == "00")]
    detector = small(n_clusters=2).fit(train)
    assert detector.label_source_ == "clusters"
    assert detector.has_both_domains_.any()
    assert not any("target" in name for name in detector.classes_)
