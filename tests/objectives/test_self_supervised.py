import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import AdaProjHead, SubClusterAdaCosHead, prototype_loss, text_embedding
from skasd.networks import SpectrumNet
from skasd.objectives._network_options import DualBranchNetOptions
from skasd.objectives._self_supervised import SelfSupervisedObjective, SelfSupervisedOptions

LABELS = ["fan | source", "fan | target", "valve | source"]
SHORT = 10_000
LABEL = torch.tensor([0, 1, 2, 0])
PLAIN = {"mixup_probability": 0.0, "n_subclusters": 2, "network": DualBranchNetOptions(embedding_dim=16)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clips():
    return {"waveform": torch.randn(4, SHORT, generator=generator())}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SpectrumNet(SHORT, embedding_dim=16).eval()


def objective(network, **settings):
    torch.manual_seed(1)
    return SelfSupervisedObjective(network, LABELS, SelfSupervisedOptions(**{**PLAIN, **settings})).eval()


def one_hot(label):
    return functional.one_hot(label, len(LABELS)).float()


def test_plain_loss_is_that_of_the_head(network, clips):
    made = objective(network)
    embedding = torch.cat(network.parts(clips["waveform"]), dim=1)
    expected = made.head(embedding, one_hot(LABEL))
    torch.testing.assert_close(made(clips, LABEL, generator()), expected)
    torch.testing.assert_close(made.validation_loss(clips, LABEL), expected)


def test_each_clip_is_mixed_with_a_share_of_its_own(network):
    made = objective(network, mixup_probability=1.0)
    waveform = torch.eye(64)
    mixed, target = made._mixed(waveform, torch.eye(64), generator())
    torch.testing.assert_close(mixed, target)  # labels are mixed as clips are
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(64))
    shares = mixed.diagonal()
    assert len(torch.unique(shares)) > 50
    assert 0.35 < shares.mean() < 0.65


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 0.4, 0.6), (1.0, 0.97, 1)])
def test_probability_of_a_mixture(network, probability, low, high):
    made = objective(network, mixup_probability=probability)
    mixed, _ = made._mixed(torch.eye(400), torch.eye(400), generator())
    assert low <= (mixed.diagonal() < 1).double().mean() <= high


def test_feature_exchange_adds_the_loss_of_its_own_head(network, clips):
    made, plain = objective(network, feature_exchange=True), objective(network)
    assert made.exchange_head.n_classes == 9
    made.head.load_state_dict(plain.head.state_dict())
    difference = made(clips, LABEL, generator()) - plain(clips, LABEL, generator())
    assert difference > 0
    with torch.no_grad():
        made.exchange_head.weight.fill_(1.0)  # all cosines equal: nothing is told apart
    difference = made(clips, LABEL, generator()) - plain(clips, LABEL, generator())
    assert difference.item() == pytest.approx(np.log(9), rel=1e-5)


@pytest.mark.parametrize(("also_features", "n_classes"), [(False, 9), (True, 27)])
def test_statistics_exchange_has_classes_of_its_own(network, clips, also_features, n_classes):
    settings = {"statistics_exchange": True, "feature_exchange": also_features}
    made, plain = objective(network, **settings), objective(network)
    assert made.exchange_head.n_classes == n_classes
    made.head.load_state_dict(plain.head.state_dict())
    assert made(clips, LABEL, generator()) > plain(clips, LABEL, generator())


def test_exchanged_statistics_change_the_spectrogram_of_those_clips_alone(network, clips):
    made = objective(network, statistics_exchange=True)
    parts = network.parts(clips["waveform"])
    moved, target = made._exchanged(clips["waveform"], parts, one_hot(LABEL), generator(1))
    is_exchanged = target[:, : len(LABELS)].sum(dim=1) == 0
    assert 0 < is_exchanged.sum() < 4
    of_spectrum, of_spectrogram = moved.split(16, dim=1)
    torch.testing.assert_close(of_spectrum, parts[0])
    torch.testing.assert_close(of_spectrogram[~is_exchanged], parts[1][~is_exchanged])
    assert ((of_spectrogram - parts[1]).abs().sum(dim=1)[is_exchanged] > 1e-4).all()


def test_subspace_loss_adds_one_for_each_branch(network, clips):
    made, plain = objective(network, subspace_loss=True), objective(network)
    made.head.load_state_dict(plain.head.state_dict())
    parts = network.parts(clips["waveform"])
    extra = sum(head(part, one_hot(LABEL)) for head, part in zip(made.subspace_heads, parts, strict=True))
    torch.testing.assert_close(made(clips, LABEL, generator()), plain(clips, LABEL, generator()) + extra)


def test_label_text_may_be_where_centres_begin(network):
    centers = objective(network, label_text="init").head.weight.view(3, 2, 32)
    plain = objective(network).head.weight.view(3, 2, 32)
    torch.testing.assert_close(centers - plain, text_embedding(LABELS, 32)[:, None].expand(3, 2, 32))


def test_label_text_may_be_aligned_with(network, clips):
    made, plain = objective(network, label_text="align"), objective(network)
    made.head.load_state_dict(plain.head.state_dict())
    embedding = torch.cat(network.parts(clips["waveform"]), dim=1)
    extra = prototype_loss(embedding, made.of_text(text_embedding(LABELS, 32)), LABEL)
    torch.testing.assert_close(made(clips, LABEL, generator()), plain(clips, LABEL, generator()) + extra)


@pytest.mark.parametrize(
    ("head", "kind", "shape"),
    [
        ("sub_cluster_adacos", SubClusterAdaCosHead, (6, 32)),
        ("adacos", SubClusterAdaCosHead, (3, 32)),
        ("adaproj", AdaProjHead, (3, 2, 32)),
    ],
)
def test_heads(network, clips, head, kind, shape):
    settings = {"head": head} | ({"n_subclusters": 16} if head == "adacos" else {})
    made = objective(network, **settings)
    assert isinstance(made.head, kind)
    assert made.head.weight.shape == shape
    assert made.head.weight.requires_grad
    assert not objective(network, head=head, trainable_centers=False).head.weight.requires_grad
    assert torch.isfinite(made(clips, LABEL, generator()))
    objective(network, head=head, label_text="init")


def test_same_generator_same_loss(network, clips):
    made = objective(network, mixup_probability=0.5, feature_exchange=True)
    torch.testing.assert_close(made(clips, LABEL, generator(3)), made(clips, LABEL, generator(3)))
    assert made(clips, LABEL, generator(3)) != made(clips, LABEL, generator(4))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"head": "arcface"}, ValueError, "head='arcface' is unknown; expected one of 'sub_cluster_adacos'"),
        ({"n_subclusters": 0}, ValueError, "n_subclusters=0 is too small"),
        ({"mixup_probability": 2}, ValueError, "mixup_probability=2.0 is out of range"),
        ({"label_text": "bert"}, ValueError, "label_text='bert' is unknown"),
        ({"statistics_exchange": 1}, ValueError, "statistics_exchange=1 is unknown"),
        ({"feature_exchange": 1}, ValueError, "feature_exchange=1 is unknown"),
        (
            {"head": "adaproj", "dynamic_scale": True},
            ValueError,
            "dynamic_scale=True has no effect with head='adaproj'",
        ),
        ({"head": "adacos", "n_subclusters": 2}, ValueError, "n_subclusters=2 has no effect with head='adacos'"),
    ],
)
def test_bad_options_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        SelfSupervisedOptions(**settings).check()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"frequency_attention": "on"}, ValueError, "frequency_attention='on' is unknown"),
        ({"embedding_dim": 1}, ValueError, "embedding_dim=1 is too small"),
        ({"n_ffts": 1024}, TypeError, "n_ffts=1024; a tuple of window lengths"),
        ({"n_ffts": ()}, TypeError, r"n_ffts=\(\); a tuple of window lengths"),
        ({"n_ffts": (16,)}, ValueError, "n_ffts=16 is too small"),
    ],
)
def test_bad_options_of_the_network_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        DualBranchNetOptions(**settings).check()
