import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import arcface_logits, arcmix_loss, noisy_arcmix_loss

COSINE = torch.tensor([[0.6, 0.8, 0.0]], dtype=torch.float64)
FIRST, SECOND = torch.tensor([0]), torch.tensor([1])
LOGITS = arcface_logits(COSINE, FIRST, margin=0.4, scale=30.0)
PARTNER_LOGITS = arcface_logits(COSINE, SECOND, margin=0.4, scale=30.0)


def random_batch(n_clips=12, n_classes=5):
    rng = np.random.default_rng(0)
    logits, partner_logits = 3 * rng.standard_normal((2, n_clips, n_classes))
    label, partner_label = rng.integers(n_classes, size=(2, n_clips))
    return logits, partner_logits, label, partner_label


def slow_cross_entropy(logits, label):
    return np.mean([np.log(np.exp(row).sum()) - row[own] for row, own in zip(logits, label, strict=True)])


def test_published_cross_entropies_on_one_set_of_logits():
    assert functional.cross_entropy(LOGITS, FIRST).item() == pytest.approx(16.766942, abs=1e-6)
    assert functional.cross_entropy(LOGITS, SECOND).item() == pytest.approx(5.230257e-08, rel=1e-6)


def test_published_noisy_loss():
    assert noisy_arcmix_loss(LOGITS, FIRST, SECOND, 0.3).item() == pytest.approx(5.030083, abs=1e-6)


def test_published_arcmix_loss():
    assert functional.cross_entropy(PARTNER_LOGITS, SECOND).item() == pytest.approx(2.957417, abs=1e-6)
    assert arcmix_loss(LOGITS, PARTNER_LOGITS, FIRST, SECOND, 0.3).item() == pytest.approx(7.100275, abs=1e-6)


def test_published_loss_without_margin():
    assert noisy_arcmix_loss(30 * COSINE, FIRST, SECOND, 0.3).item() == pytest.approx(1.802476, abs=1e-6)


def test_whole_share_is_the_cross_entropy_of_the_first_label():
    assert noisy_arcmix_loss(LOGITS, FIRST, SECOND, 1.0).item() == functional.cross_entropy(LOGITS, FIRST).item()


def test_no_share_is_the_cross_entropy_of_the_partner_with_the_margin_on_the_first_label():
    assert noisy_arcmix_loss(LOGITS, FIRST, SECOND, 0.0).item() == functional.cross_entropy(LOGITS, SECOND).item()


def test_no_share_of_arcmix_is_the_cross_entropy_of_the_partner_with_its_own_margin():
    loss = arcmix_loss(LOGITS, PARTNER_LOGITS, FIRST, SECOND, 0.0)
    assert loss.item() == functional.cross_entropy(PARTNER_LOGITS, SECOND).item()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9, 1.0])
def test_noisy_loss_equals_the_formula(share):
    logits, _, label, partner_label = random_batch()
    expected = share * slow_cross_entropy(logits, label) + (1 - share) * slow_cross_entropy(logits, partner_label)
    result = noisy_arcmix_loss(*map(torch.tensor, (logits, label, partner_label)), share)
    assert result.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9, 1.0])
def test_arcmix_loss_equals_the_formula(share):
    logits, partner_logits, label, partner_label = random_batch()
    first, second = slow_cross_entropy(logits, label), slow_cross_entropy(partner_logits, partner_label)
    result = arcmix_loss(*map(torch.tensor, (logits, partner_logits, label, partner_label)), share)
    assert result.item() == pytest.approx(share * first + (1 - share) * second, rel=1e-12)


def test_share_may_be_a_tensor():
    logits, _, label, partner_label = map(torch.tensor, random_batch())
    by_tensor = noisy_arcmix_loss(logits, label, partner_label, torch.tensor(0.25, dtype=torch.float64))
    assert by_tensor.item() == noisy_arcmix_loss(logits, label, partner_label, 0.25).item()


def test_gradients_agree_with_finite_differences():
    logits, partner_logits, label, partner_label = map(torch.tensor, random_batch(n_clips=4))
    both = (logits.requires_grad_(), partner_logits.requires_grad_())
    assert torch.autograd.gradcheck(lambda a: noisy_arcmix_loss(a, label, partner_label, 0.3), both[:1])
    assert torch.autograd.gradcheck(lambda a, b: arcmix_loss(a, b, label, partner_label, 0.3), both)


def test_bfloat16_logits_are_computed_in_float32():
    logits, partner_logits, label, partner_label = map(torch.tensor, random_batch())
    logits, partner_logits = logits.bfloat16(), partner_logits.bfloat16()
    noisy = noisy_arcmix_loss(logits, label, partner_label, 0.3)
    both = arcmix_loss(logits, partner_logits, label, partner_label, 0.3)
    assert (noisy.dtype, both.dtype) == (torch.float32, torch.float32)
    assert noisy.item() == noisy_arcmix_loss(logits.float(), label, partner_label, 0.3).item()
    assert both.item() == arcmix_loss(logits.float(), partner_logits.float(), label, partner_label, 0.3).item()


def test_autocast_does_not_change_the_loss():
    logits, _, label, partner_label = map(torch.tensor, random_batch())
    logits = logits.float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = noisy_arcmix_loss(logits, label, partner_label, 0.3)
    assert inside.item() == noisy_arcmix_loss(logits, label, partner_label, 0.3).item()
