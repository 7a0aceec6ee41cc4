import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import ArcFaceHead, prototype_loss, supervised_contrastive_loss
from skasd.networks import OSSCLNet
from skasd.objectives._network_options import MobileFaceNetOptions
from skasd.objectives._stat_cluster import (
    ClusterObjective,
    ClusterOptions,
    ContrastObjective,
    Projector,
    train_clusters,
)
from skasd.training import ClipStore, TrainingPlan

LABEL = torch.tensor([0, 0, 1, 2, 2, 1])
SMALL = {"bottlenecks": ((1, 8, 1, 2),), "embedding_dim": 8}


@pytest.fixture(scope="module")
def clips():
    return {"log_mel": torch.randn(6, 16, 12, generator=torch.Generator().manual_seed(0))}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return OSSCLNet(("log_mel",), (16, 12), perturbation_head=False, **SMALL).eval()


def objective(network, statistics=None, **settings):
    torch.manual_seed(1)
    options = ClusterOptions(network=MobileFaceNetOptions(**SMALL), **settings)
    statistics = torch.eye(3) if statistics is None else statistics
    return ClusterObjective(network, ArcFaceHead(8, 3, margin=options.margin), options, statistics).eval()


def classification(made, embedding):
    return functional.cross_entropy(made.head(embedding, LABEL), LABEL)


def test_without_a_contrast_it_is_classification_by_angle(network, clips):
    made = objective(network, contrast="off")
    torch.testing.assert_close(made(clips, LABEL, None), classification(made, network(clips)))
    torch.testing.assert_close(made.validation_loss(clips, LABEL), classification(made, network(clips)))


def test_contrast_of_clips_has_a_prefactor_of_one(network, clips):
    made = objective(network, contrastive_weight=0.3, temperature=0.5)
    embedding = network(clips)
    contrast = supervised_contrastive_loss(embedding, LABEL, temperature=0.5, base_temperature=0.5)
    torch.testing.assert_close(made(clips, LABEL, None), classification(made, embedding) + 0.3 * contrast)


def test_contrast_with_prototypes_of_the_classes(network, clips):
    statistics = torch.tensor([[1.0, 0], [0, 1], [-1, 0]])
    made = objective(network, statistics, contrast="prototype", contrastive_weight=0.3, temperature=0.5)
    embedding = network(clips)
    contrast = prototype_loss(embedding, made.to_prototypes(statistics), LABEL, temperature=0.5)
    torch.testing.assert_close(made(clips, LABEL, None), classification(made, embedding) + 0.3 * contrast)


def test_first_stage_contrasts_the_last_layer_and_second_takes_the_first(network, clips):
    torch.manual_seed(0)
    projector = Projector(network, 8).eval()
    made = ContrastObjective(projector, ClusterOptions(temperature=0.5, network=MobileFaceNetOptions(**SMALL)))
    of_last = projector.rest(projector.first(network(clips)))
    expected = supervised_contrastive_loss(of_last, LABEL, temperature=0.5, base_temperature=0.5)
    torch.testing.assert_close(made(clips, LABEL, None), expected)
    torch.testing.assert_close(projector(clips), functional.normalize(projector.first(network(clips))))


@pytest.mark.parametrize("contrast", ["supcon", "prototype", "two_stage", "off"])
def test_training_learns_and_the_same_seed_gives_the_same_weights(contrast):
    def trained():
        store = ClipStore(6, 1e9)
        generator = np.random.default_rng(0)
        store.fill(
            {"log_mel": generator.standard_normal((16, 12)).astype(np.float32) + 3 * (row // 2)} for row in range(6)
        )
        return train_clusters(
            store,
            np.array([0, 0, 1, 1, 2, 2]),
            np.random.default_rng(0).standard_normal((6, 4)),
            branches=("log_mel",),
            size=(16, 12),
            hop_length=512,
            dtype=np.dtype(np.float32),
            options=ClusterOptions(contrast=contrast, network=MobileFaceNetOptions(**SMALL)),
            plan=TrainingPlan(max_epochs=30, learning_rate=1e-2, ema_decay=None, device="cpu"),
            seed=0,
        )

    first, second = trained(), trained()
    assert first.history[-1]["train_loss"] < 0.6 * first.history[0]["train_loss"]
    for one, other in zip(first.objective.parameters(), second.objective.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("given", "default", "expected"),
    [("auto", True, True), ("auto", False, False), (True, False, True), (False, True, False)],
)
def test_perturbation_head_of_the_network(given, default, expected):
    assert MobileFaceNetOptions(perturbation_head=given).has_head(default) is expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 2}, "margin=2.0 is out of range"),
        (
            {"contrast": "triplet"},
            "contrast='triplet' is unknown; expected one of 'supcon', 'prototype', 'two_stage', 'off'",
        ),
        ({"contrastive_weight": -1}, "contrastive_weight=-1.0 is out of range"),
        ({"temperature": 0}, "temperature=0.0 is out of range"),
        ({"contrast": "off", "temperature": 0.2}, "temperature=0.2 has no effect with contrast='off'"),
        ({"contrast": "off", "contrastive_weight": 1.0}, "contrastive_weight=1.0 has no effect with contrast='off'"),
        ({"contrast": "two_stage", "contrastive_weight": 1.0}, "contrastive_weight=1.0 has no effect"),
        ({"contrastive_weight": 0, "temperature": 0.2}, "temperature=0.2 has no effect with contrastive_weight=0"),
    ],
)
def test_bad_options_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClusterOptions(**settings).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 0}, "scale=0.0 is out of range"),
        ({"embedding_dim": 1}, "embedding_dim=1 is too small"),
        ({"n_subcenters": 0}, "n_subcenters=0 is too small"),
        ({"perturbation_head": "yes"}, "perturbation_head='yes' is unknown"),
        ({"bottlenecks": "2022"}, "bottlenecks='2022' is unknown"),
    ],
)
def test_bad_options_of_the_network_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MobileFaceNetOptions(**settings).check()
