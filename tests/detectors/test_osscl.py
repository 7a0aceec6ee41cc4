import copy
import logging

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, Checkpoint, LoadInitState

from skasd._threshold import alarm_threshold
from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector
from skasd.features import LogMelTransformer
from skasd.losses import arcface_logits
from skasd.metrics import auc_scorer
from skasd.model_selection import DCASESplit
from skasd.scoring import GMMScorer, KNNScorer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")
ALL = ("log_mel", "tgram", "tfgram", "tagram")


def small(branches=("log_mel",), **settings):
    """A detector of this small size, which learns from all clips unless a setting holds some out."""
    defaults = {
        "frontend": FRONT_END,
        "network__bottlenecks": ((1, 16, 1, 2),),
        "network__embedding_dim": 16,
        "max_epochs": 2,
        "training__calibration_fraction": "auto" if "training__validation_fraction" in settings else 0,
    }
    detector = OSSCLDetector(branches, device="cpu", random_state=0)
    return detector.set_params(**{**defaults, **settings})


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_sections=2, n_train=10, duration=0.5, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted(train):
    return small().fit(train)


def cosines(detector, clips):
    return detector._head.cosine(torch.from_numpy(detector.transform(clips))).detach()


def test_classes_are_the_cells_of_the_label_columns(fitted):
    assert fitted.classes_.tolist() == ["fan/00", "fan/01", "pump/00", "pump/01"]
    assert fitted.label_source_ == "columns"


def test_score_is_the_cross_entropy_of_the_claimed_machine(fitted, test):
    label = torch.tensor(
        [fitted.classes_.tolist().index(f"{row.machine_type}/{row.section}") for row in test.itertuples()]
    )
    logits = arcface_logits(cosines(fitted, test), label, margin=0.4, scale=30.0)
    expected = -torch.nn.functional.cross_entropy(logits, label, reduction="none")
    np.testing.assert_allclose(fitted.score_samples(test), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_score_depends_on_the_claimed_machine(fitted, test):
    claims = test.assign(section=np.where(test["section"] == "00", "01", "00"))
    assert (fitted.score_samples(claims) != fitted.score_samples(test)).all()


def test_margin_may_be_left_out_of_the_score(train, test):
    with_margin, without = (small(score_margin=margin).fit(train).score_samples(test) for margin in (True, False))
    assert (without > with_margin).all()  # the margin makes the own class harder


def test_predicted_score_is_that_of_the_best_machine(fitted, train, test):
    best = small(score_with="predicted").fit(train).score_samples(test)
    by_claim = []
    for machine in fitted.classes_:
        machine_type, section = machine.split("/")
        by_claim.append(fitted.score_samples(test.assign(machine_type=machine_type, section=section)))
    np.testing.assert_allclose(best, np.max(by_claim, axis=0), rtol=1e-4, atol=1e-5)


def test_the_scorer_is_told_the_domains_of_the_table(train, test):
    scorer = KNNScorer(3)  # a single neighbour is the same with domains and without
    detector = small(score_with="embedding", scorer=scorer).fit(train)
    fan = ((train["machine_type"] == "fan") & (train["section"] == "00")).to_numpy()
    embedding = detector.transform(train[fan]).astype(np.float64)
    of_test = test[(test["machine_type"] == "fan") & (test["section"] == "00")]
    made, new = detector.score_samples(of_test), detector.transform(of_test).astype(np.float64)
    expected = clone(scorer).fit(embedding, domain=train["domain"][fan]).score_samples(new)
    np.testing.assert_allclose(made, expected, rtol=1e-2, atol=0)  # these embeddings differ by little
    assert not np.allclose(made, clone(scorer).fit(embedding).score_samples(new), rtol=0.1, atol=0)


@pytest.mark.parametrize("scorer", [GaussianMixture(1, reg_covar=1e-2), LocalOutlierFactor(3, novelty=True)], ids=str)
def test_embedding_score_is_that_of_the_scorer_of_the_machine(scorer, train, test):
    detector = small(score_with="embedding", scorer=scorer).fit(train)
    fan = train["machine_type"].eq("fan") & train["section"].eq("01")
    own = test["machine_type"].eq("fan") & test["section"].eq("01")
    back_end = clone(scorer).fit(detector.transform(train[fan]).astype(np.float64))
    expected = back_end.score_samples(detector.transform(test[own]).astype(np.float64))
    np.testing.assert_allclose(detector.score_samples(test)[own], expected, rtol=1e-3)


def test_clips_without_labels_are_scored_by_their_embedding(fitted, train, test):
    with pytest.warns(UserWarning, match="scored by embedding, but the threshold offset_ was set by label"):
        scores = fitted.score_samples(test[["waveform"]])
    embedding = fitted.transform(train).astype(np.float64)
    expected = (
        GaussianMixture(1, reg_covar=1e-3).fit(embedding).score_samples(fitted.transform(test).astype(np.float64))
    )
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


def test_label_is_asked_for_where_it_is_needed(train, test):
    detector = small(score_with="label").fit(train)
    with pytest.raises(ValueError, match="X names no machine, but fit was given clips of"):
        detector.score_samples(test[["waveform"]])


def test_unknown_machine_is_refused_by_name(fitted, test):
    with pytest.raises(ValueError, match=r"Machine 'fan/07' of clip 0 .*label_columns=\(\)"):
        fitted.score_samples(test.assign(section="07"))


def test_embeddings_have_unit_length(fitted, test):
    embedding = fitted.transform(test)
    assert embedding.shape == (len(test), 16)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, rtol=1e-6)


def test_clips_without_labels_are_clustered(train, test):
    detector = small(label_columns=None).fit(train)
    assert detector.label_source_ == "clusters"
    assert len(detector.classes_) > 4
    assert np.isfinite(detector.score_samples(test)).all()


def test_one_machine_alone_is_clustered(train):
    fan = train[(train["machine_type"] == "fan") & (train["section"] == "00")]
    detector = small(n_clusters=None).fit(fan)
    assert detector.label_source_ == "clusters"
    assert all(
        name.startswith(("fan/00 | source | cluster", "fan/00 | target | cluster")) for name in detector.classes_
    )


def test_each_machine_can_be_split_into_clusters(train, test):
    detector = small(n_clusters=2).fit(train)
    assert detector.classes_.tolist()[:3] == [
        "fan/00 | source | cluster 0",
        "fan/00 | source | cluster 1",
        "fan/00 | target | cluster 0",
    ]
    by_label = small(n_clusters=2, score_with="label").fit(train)
    np.testing.assert_array_equal(detector.score_samples(test), by_label.score_samples(test))


def test_machine_of_one_clip_is_trained_and_scored(train, test):
    few = pd.concat([train[train["machine_type"] == "fan"], train[train["machine_type"] == "pump"].iloc[:1]])
    for score_with in ("label", "embedding"):
        detector = small(score_with=score_with).fit(few)
        known = test[(test["machine_type"] == "fan") | (test["section"] == "00")]
        assert np.isfinite(detector.score_samples(known)).all()


@pytest.mark.parametrize("branches", [(name,) for name in ALL] + [ALL, ("tgram", "log_mel", "tagram")], ids="+".join)
def test_every_combination_of_branches_works(branches, train, test):
    detector = small(branches).fit(train)
    assert detector.branches_ == branches
    assert np.isfinite(detector.score_samples(test)).all()


def test_features_alone_leave_the_branches_of_the_log_mel(train):
    features = np.stack(FRONT_END.fit_transform(train)["log_mel"])
    assert small(ALL).fit(features).branches_ == ("log_mel", "tagram")
    with pytest.raises(ValueError, match=r"branches=\('tgram', 'tfgram'\) all need waveforms"):
        small(("tgram", "tfgram")).fit(features)


def test_front_end_in_a_pipeline_gives_the_scores_of_the_own_one(train, test):
    model = make_pipeline(clone(FRONT_END), small(("log_mel", "tgram"))).fit(train)
    alone = small(("log_mel", "tgram")).fit(train)
    np.testing.assert_allclose(model.score_samples(test), alone.score_samples(test), rtol=1e-5)


def test_clips_are_cut_and_filled_to_the_median_length(train):
    lengths = np.resize([6000, 8000, 9000], len(train))
    mixed = train.assign(waveform=[clip[:length] for clip, length in zip(train["waveform"], lengths, strict=True)])
    detector = small().fit(mixed)
    cut = mixed.assign(waveform=[np.resize(clip, 8000) for clip in mixed["waveform"]])
    np.testing.assert_allclose(detector.score_samples(mixed), detector.score_samples(cut), rtol=1e-5)


def test_duration_of_the_front_end_is_the_length(train):
    detector = small(frontend=clone(FRONT_END).set_params(duration=0.25)).fit(train)
    halves = train.assign(waveform=[clip[:4000] for clip in train["waveform"]])
    np.testing.assert_allclose(detector.score_samples(train), detector.score_samples(halves), rtol=1e-5)


def test_sixteen_bit_files_give_the_scores_of_their_samples(tmp_path, train, test):
    def written(table):
        paths = [str(tmp_path / f"{table['split'].iloc[0]}{row}.wav") for row in range(len(table))]
        for path, waveform in zip(paths, table["waveform"], strict=True):
            soundfile.write(path, waveform, 16000, subtype="PCM_16")
        return table.drop(columns="waveform").assign(path=paths)

    files, new = written(train), written(test)
    read = [
        table.assign(waveform=[soundfile.read(path, dtype="float32")[0] for path in table["path"]])
        for table in (files, new)
    ]
    by_file = small(("log_mel", "tgram")).fit(files).score_samples(new)
    by_sample = (
        small(("log_mel", "tgram")).fit(read[0].drop(columns="path")).score_samples(read[1].drop(columns="path"))
    )
    np.testing.assert_array_equal(by_file, by_sample)


def test_streaming_from_a_file_changes_nothing(fitted, train, test):
    streamed = small(training__memory_budget=1.0).fit(train)
    np.testing.assert_array_equal(streamed.score_samples(test), fitted.score_samples(test))


def test_another_seed_gives_other_scores(fitted, train, test):
    assert not np.allclose(small(random_state=1).fit(train).score_samples(test), fitted.score_samples(test))


def test_torch_generator_is_untouched(train):
    before = torch.random.get_rng_state()
    small(random_state=None).fit(train).score_samples(train)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_held_out_clips_set_the_threshold(train):
    detector = small(training__validation_fraction=0.2, score_with="label").fit(train)
    assert all("valid_loss" in epoch for epoch in detector.history_)
    held_out = detector._scores.of_training("label").held_out
    assert len(held_out) == 8
    assert detector.offset_ == -alarm_threshold(held_out, 0.1, "quantile")


def test_training_that_was_killed_goes_on_from_its_checkpoint(tmp_path, fitted, train, test):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("killed")

    checkpoint = Checkpoint(dirname=str(tmp_path), monitor=None)
    with pytest.raises(RuntimeError, match="killed"):
        small(training__callbacks=[checkpoint, Stop()]).fit(train)
    callbacks = [Checkpoint(dirname=str(tmp_path), monitor=None)]
    resumed = small(training__callbacks=[*callbacks, LoadInitState(callbacks[0])]).fit(train)
    assert [epoch["epoch"] for epoch in resumed.history_] == [1, 2]
    np.testing.assert_array_equal(resumed.score_samples(test), fitted.score_samples(test))


def test_interrupt_leaves_a_detector_of_the_last_whole_epoch(train, test):
    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    detector = small(max_epochs=5, training__callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match=r"interrupted in epoch 2 of 5; .* last complete epoch, 1"):
        detector.fit(train)
    assert len(detector.history_) == 1
    assert np.isfinite(detector.score_samples(test)).all()


def test_loss_that_is_no_number_names_epoch_and_learning_rate(train):
    with pytest.raises(ValueError, match=r"The loss became nan in epoch \d+ at a learning rate of \d\.?\d*e\+\d+"):
        small(max_epochs=3, learning_rate=1e20, training__precision="float32").fit(train)


def test_grid_search_chooses_among_back_ends(machines):
    scorers = [
        GaussianMixture(1, reg_covar=1e-3),
        LocalOutlierFactor(3, novelty=True),
        IsolationForest(n_estimators=20),
        KNNScorer(),
        GMMScorer(),
    ]
    search = GridSearchCV(
        small(score_with="embedding"), {"scorer": scorers}, scoring=auc_scorer, cv=DCASESplit(), error_score="raise"
    )
    search.fit(machines.data, machines.target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).sum() == 5


PUBLISHED = {
    "network__bottlenecks": "2023",
    "network__embedding_dim": 128,
    "max_epochs": 1,
    "training__batch_norm_warmup": False,
}
PLAIN = {"network__perturbation_head": False, "contrastive_weight": 0.0, "training__ema_decay": None, "margin": 0.7}
FAMILY = {
    "STgram-MFN": (
        small(
            ("log_mel", "tgram"),
            mixup_alpha=None,
            training__weight_decay=0.0,
            batch_size=128,
            frontend=LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk"),
            **PLAIN,
            **PUBLISHED,
        ),
        1_155_990,
    ),
    "Noisy-ArcMix": (small(("tgram", "log_mel", "tagram"), frontend=None, **PLAIN, **PUBLISHED), 1_156_566),
    "log-mel alone": (small(frontend=None, **PUBLISHED), 891_968),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_settings_of_the_family_have_the_published_number_of_parameters(name):
    detector, n_parameters = FAMILY[name]
    noise = np.random.default_rng(0).standard_normal((41, 160_000)).astype(np.float32) / 10
    sections = [f"{section:02d}" for section in range(41)]
    clips = pd.DataFrame({"waveform": list(noise), "machine_type": "fan", "section": sections})
    detector = clone(detector).set_params(score_with="label").fit(clips)
    parameters = [*detector.network_.parameters(), *detector._head.parameters()]
    assert sum(parameter.numel() for parameter in parameters) == n_parameters
    assert len(detector.classes_) == 41


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"branches": ("mel",)}, ValueError, "branches='mel' is unknown"),
        ({"branches": ()}, TypeError, r"branches=\(\)"),
        ({"branches": "log_mel"}, TypeError, "branches='log_mel'"),
        ({"branches": ("log_mel", "log_mel")}, ValueError, "contains a branch twice"),
        ({"label_columns": "section"}, TypeError, "label_columns='section' is a str"),
        ({"n_clusters": 0}, ValueError, "n_clusters=0"),
        ({"score_with": "id"}, ValueError, "score_with='id' is unknown"),
        ({"scorer": 3}, TypeError, "scorer=3 has no fit"),
        ({"margin": 2.0}, ValueError, "margin=2.0"),
        ({"network__scale": 0.0}, ValueError, "scale=0.0"),
        ({"network__n_subcenters": 0}, ValueError, "n_subcenters=0"),
        ({"mixup_alpha": 0.0}, ValueError, "mixup_alpha=0.0"),
        ({"mix_margin": "second"}, ValueError, "mix_margin='second'"),
        ({"contrastive_weight": -1.0}, ValueError, "contrastive_weight=-1.0"),
        ({"temperature": 0.0}, ValueError, "temperature=0.0"),
        ({"network__bottlenecks": "2020"}, ValueError, "bottlenecks='2020'"),
        ({"network__bottlenecks": ()}, ValueError, r"bottlenecks=\(\)"),
        ({"network__bottlenecks": ((2, 128),)}, ValueError, r"bottlenecks=\(\(2, 128\),\)"),
        ({"frontend": "mel"}, TypeError, "frontend='mel' is a str"),
        ({"batch_size": 1}, ValueError, "batch_size=1"),
        ({"training__precision": "half"}, ValueError, "precision='half'"),
        ({"training__patience": 3}, ValueError, "patience=3 .*validation_fraction"),
        ({"training__callbacks": 3}, TypeError, "callbacks=3"),
        ({"device": "warp"}, ValueError, "device='warp' is not a device"),
        ({"n_jobs": "all"}, TypeError, "n_jobs='all'"),
    ],
)
def test_parameters_out_of_range_are_named(train, parameters, error, message):
    logging.getLogger("torch").setLevel(logging.ERROR)
    with pytest.raises(error, match=message):
        small().set_params(**parameters).fit(train)


@pytest.mark.slow
def test_training_lets_strong_faults_of_many_machines_be_found():
    machine_types = ("fan", "pump", "valve", "compressor")
    clips = make_machine_clips(machine_types, n_sections=2, n_train=40, duration=1.0, severity=4.0, random_state=0)
    train = clips.data["split"] == "train"
    new, y = clips.data[~train].reset_index(drop=True), clips.target[~train]

    def mean_auc(**settings):
        detector = OSSCLDetector(("log_mel",), score_with="embedding", mixup_alpha=None, random_state=0)
        detector.set_params(
            network__perturbation_head=False, network__bottlenecks=((2, 64, 1, 2), (2, 64, 1, 2)), **settings
        )
        scores = detector.fit(clips.data[train]).score_samples(new)
        groups = new.groupby(["machine_type", "section"])
        return np.mean([roc_auc_score(y[group.index], scores[group.index]) for _, group in groups])

    trained = mean_auc(max_epochs=10, learning_rate=1e-3, batch_size=16)
    untrained = mean_auc(max_epochs=1, learning_rate=1e-9, training__ema_decay=None)
    assert trained > 0.8
    assert trained > untrained + 0.1


@pytest.mark.gpu
def test_scores_do_not_depend_on_the_device(fitted, test):
    moved = copy.copy(fitted)
    moved.device = "cuda"
    np.testing.assert_allclose(moved.score_samples(test), fitted.score_samples(test), rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_training_on_an_accelerator_gives_a_detector_for_the_cpu(train, test):
    detector = small(device="cuda").fit(train)
    assert next(detector.network_.parameters()).device.type == "cpu"
    assert np.isfinite(detector.set_params(device="cpu").score_samples(test)).all()


@pytest.mark.slow
def test_real_toy_cars_are_told_apart_after_a_few_epochs(real_data):
    folder = real_data / "toycar2020_logmel"
    clips = pd.read_csv(folder / "clips.csv", dtype=str).assign(log_mel=list(np.load(folder / "log_mel.npy")))
    test = clips["split"] == "test"
    test_clips = clips[test].iloc[::2].reset_index(drop=True)
    sizes = {"network__bottlenecks": ((2, 64, 1, 2), (2, 64, 1, 2)), "batch_size": 32, "max_epochs": 2}
    sizes["training__precision"] = "float32"  # on every processor
    detector = OSSCLDetector(("log_mel",), score_with="label", mixup_alpha=None, random_state=0).set_params(**sizes)
    scores = detector.fit(clips[~test]).score_samples(test_clips)
    sections = test_clips.groupby("section")
    areas = [roc_auc_score(group["label"] == "anomaly", -scores[group.index]) for _, group in sections]
    assert len(areas) == 4
    assert np.mean(areas) > 0.7  # the suite osscl in benchmarks/accuracy trains for longer


def test_a_threshold_of_another_kind_of_score_is_warned_about():
    clips = make_machine_clips(("fan", "pump"), n_train=8, duration=1.0, random_state=0).data
    train = clips[clips["split"] == "train"]
    detector = small(("log_mel",)).fit(train)
    with pytest.warns(UserWarning, match="scored by embedding, but the threshold offset_ was set by label"):
        detector.predict(train[["waveform"]])


def test_the_way_to_score_may_change_after_the_fit(train, test):
    detector = small(score_with="embedding").fit(train)
    by_embedding, offset = detector.score_samples(test), detector.offset_
    for score_with in ("label", "predicted", "auto"):
        anew = small(score_with=score_with).fit(train)
        np.testing.assert_array_equal(
            detector.set_params(score_with=score_with).score_samples(test), anew.score_samples(test)
        )
        assert detector.offset_ == anew.offset_
        assert detector.score_with_ == anew.score_with_
    np.testing.assert_array_equal(detector.set_params(score_with="embedding").score_samples(test), by_embedding)
    assert detector.offset_ == offset


def test_a_way_to_score_that_was_not_fitted_says_what_to_fit(train, test):
    detector = small(score_with="label").fit(train).set_params(score_with="embedding")
    with pytest.raises(ValueError, match="score_with='embedding' needs a part that was not fitted; fit again with"):
        detector.score_samples(test)
    with pytest.raises(ValueError, match="score_with='distance' is unknown"):
        detector.set_params(score_with="distance").predict(test)
