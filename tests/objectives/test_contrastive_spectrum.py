"""The loss of a batch of two views: what it is made of, and which domain a view is of."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from skasd.losses import cross_domain_loss, cross_domain_pairs
from skasd.networks import BYOLANet, MobileFaceNet, PerturbationHead, SegmentNet
from skasd.objectives._contrastive_spectrum import ContrastOptions, SpectrumContrastObjective, encoder_of
from skasd.objectives._network_options import SegmentNetOptions

N_BANDS, LENGTH, DIM = 16, 8, 12
LABEL = torch.tensor([0, 1, 0, 2, 3, 2, 4, 4])  # classes 0 and 1 in both domains, class 2 in the source domain alone
HAS_BOTH = torch.tensor([True, True, False])
LOG_MEL = torch.randn(8, N_BANDS, 20, generator=torch.Generator().manual_seed(0))


class TwoViews(nn.Module):
    """Views that are a clip and its half."""

    def forward(self, x, label=None, generator=None, n_views=1):
        self.label = label
        return torch.cat([x, x / 2]) if n_views == 2 else x


class Flat(nn.Module):
    """The first values of an image, and their sines."""

    def forward(self, image):
        return torch.sin(3 * image.flatten(1)[:, :DIM])


def objective(*, projector="narrow", **settings):
    torch.manual_seed(0)
    options = ContrastOptions(network=SegmentNetOptions(embedding_dim=DIM, projector=projector), **settings)
    network = SegmentNet(TwoViews(), Flat(), 5, LENGTH)
    return SpectrumContrastObjective(network, options, HAS_BOTH)


def loss(made, seed=1):
    return made({"log_mel": LOG_MEL}, LABEL, torch.Generator().manual_seed(seed))


def embeddings(made, seed=1):
    """Of the views that the objective sees by a generator."""
    from skasd.networks._segments import random_segments

    segment = random_segments(LOG_MEL, LENGTH, torch.Generator().manual_seed(seed))
    return Flat()(torch.cat([segment, segment / 2])[:, None])


@pytest.mark.parametrize(
    ("same_domain", "of_pairs"),
    [("ignore", {}), ("pull", {"cross_domain": False}), ("push", {"ignore_same_domain": False})],
)
@pytest.mark.parametrize(("contrast", "temperature"), [("supcon", {"temperature": 0.3}), ("pairwise", {})])
def test_the_contrast_is_that_of_the_pairs(same_domain, of_pairs, contrast, temperature):
    made = objective(projector="off", contrast=contrast, same_domain=same_domain, **temperature)
    label, clip = (LABEL // 2).repeat(2), torch.arange(8).repeat(2)
    view = torch.arange(2).repeat_interleave(8)
    domain = torch.where(label < 2, (LABEL % 2).repeat(2), view)
    pairs = cross_domain_pairs(label, domain, clip, **of_pairs)
    expected = cross_domain_loss(embeddings(made), *pairs, form=contrast, **temperature)
    torch.testing.assert_close(loss(made), expected)


def test_a_view_of_a_class_of_one_domain_is_pulled_to_the_other_views_of_its_class():
    made = objective(projector="off")
    pairs = cross_domain_pairs(
        torch.zeros(4, dtype=torch.int64), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    )
    rows = torch.tensor([6, 7, 14, 15])
    expected = cross_domain_loss(embeddings(made)[rows], *pairs)
    torch.testing.assert_close(made._loss(embeddings(made)[rows], torch.tensor([4, 4])), expected)


def test_classification_is_beside_it():
    alone, both = objective(projector="off"), objective(projector="off", classification_weight=0.5)
    both.head.load_state_dict(alone.head.state_dict())
    label = (LABEL // 2).repeat(2)
    logits = both.head(functional.normalize(embeddings(both)), label)
    expected = loss(alone) + 0.5 * functional.cross_entropy(logits, label)
    torch.testing.assert_close(loss(both), expected)


def test_classification_alone():
    made = objective(contrastive_weight=0.0, classification_weight=1.0)
    label = (LABEL // 2).repeat(2)
    expected = functional.cross_entropy(made.head(functional.normalize(embeddings(made)), label), label)
    torch.testing.assert_close(loss(made), expected)


def test_views_are_told_their_classes():
    made = objective()
    loss(made)
    assert made.network.normalise.label.tolist() == (LABEL // 2).tolist()


def test_held_out_clips_are_their_first_and_last_segments():
    made = objective(projector="off")
    both = torch.cat([LOG_MEL[:, :, :LENGTH], LOG_MEL[:, :, -LENGTH:]])
    expected = made._loss(Flat()(both[:, None]), LABEL)
    torch.testing.assert_close(made.validation_loss({"log_mel": LOG_MEL}, LABEL), expected)


def test_projectors():
    assert isinstance(objective(projector="narrow").projector, PerturbationHead)
    kinds = [type(layer).__name__ for layer in objective(projector="three_layers").projector]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]


def test_encoders():
    assert isinstance(encoder_of((16, 8), SegmentNetOptions()), MobileFaceNet)
    assert isinstance(encoder_of((16, 8), SegmentNetOptions(encoder="byol_a")), BYOLANet)
    with pytest.raises(
        ValueError, match=r"encoder='byol_a' halves bands and frames three times.*16 bands and 7 frames"
    ):
        encoder_of((16, 7), SegmentNetOptions(encoder="byol_a"))


def test_segments_are_no_longer_than_clips():
    assert SegmentNetOptions().length(313) == 64
    assert SegmentNetOptions().length(20) == 20
    assert SegmentNetOptions(segment_length=None).length(313) == 313
    assert SegmentNetOptions(segment_length=None).segments(313) == SegmentNetOptions().segments(64) == 1
    assert SegmentNetOptions().segments(65) == 5
    assert np.isfinite(loss(objective()).item())
