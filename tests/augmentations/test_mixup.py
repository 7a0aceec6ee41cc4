import numpy as np
import pytest
import torch
from scipy import stats

from skasd.augmentations import Mixing, draw_mixing


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shares():
    """Ten thousand shares drawn with the alpha of the papers."""
    shared = generator()
    return np.array([draw_mixing(2, 0.5, shared).share.item() for _ in range(10_000)])


def test_spectrograms_are_mixed_in_decibels():
    log_mel = torch.tensor([-20.0, -40.0], dtype=torch.float64)[:, None, None].expand(2, 4, 3)
    mixed = Mixing(torch.tensor(0.25), torch.tensor([1, 0]))(log_mel)
    torch.testing.assert_close(mixed[0], torch.full((4, 3), -35.0, dtype=torch.float64))
    torch.testing.assert_close(mixed[1], torch.full((4, 3), -25.0, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(5,), (5, 7), (5, 4, 3)])
def test_equals_the_formula_for_every_clip(shape):
    x = torch.randn(shape, dtype=torch.float64, generator=generator())
    mixing = draw_mixing(5, 0.5, generator(1))
    share, partner, mixed = mixing.share.item(), mixing.partner.tolist(), mixing(x)
    for clip in range(5):
        torch.testing.assert_close(mixed[clip], share * x[clip] + (1 - share) * x[partner[clip]])


def test_all_inputs_of_a_batch_are_mixed_alike():
    clip = torch.arange(1.0, 7.0, dtype=torch.float64)
    mixing = draw_mixing(6, 0.5, generator())
    waveform, log_mel = clip[:, None].expand(6, 50), clip[:, None, None].expand(6, 4, 3)
    of_waveform, of_log_mel = mixing(waveform), mixing(log_mel)
    assert not torch.equal(of_waveform, waveform)
    torch.testing.assert_close(of_waveform[:, 0], of_log_mel[:, 0, 0], rtol=0, atol=0)


def test_whole_share_leaves_the_clips_as_they_are():
    x = torch.randn(4, 9, generator=generator())
    assert torch.equal(Mixing(torch.tensor(1.0), torch.tensor([1, 2, 3, 0]))(x), x)


def test_no_share_gives_the_partner():
    x = torch.randn(4, 9, generator=generator())
    assert torch.equal(Mixing(torch.tensor(0.0), torch.tensor([1, 2, 3, 0]))(x), x[[1, 2, 3, 0]])


def test_input_stays_as_it_is():
    x = torch.randn(4, 9, generator=generator())
    before = x.clone()
    draw_mixing(4, 0.5, generator())(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_mixture_has_the_dtype_of_the_clips(dtype):
    assert draw_mixing(4, 0.5, generator())(torch.ones(4, 3, dtype=dtype)).dtype == dtype


def test_published_share_of_small_shares(shares):
    assert np.mean(shares < 0.1) == pytest.approx(0.2048, abs=0.01)


def test_shares_are_not_folded(shares):
    assert np.mean(shares < 0.5) == pytest.approx(0.5, abs=0.02)


def test_shares_follow_the_beta_distribution(shares):
    assert stats.kstest(shares, stats.beta(0.5, 0.5).cdf).pvalue > 0.01


def test_shares_of_a_large_parameter_lie_near_one_half():
    shared = generator()
    drawn = [draw_mixing(2, 50.0, shared).share.item() for _ in range(2000)]
    assert stats.kstest(drawn, stats.beta(50.0, 50.0).cdf).pvalue > 0.01


def test_shares_of_a_small_parameter_are_nearly_none_or_all():
    shared = generator()
    drawn = np.array([draw_mixing(2, 0.01, shared).share.item() for _ in range(1000)])
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert np.mean((drawn < 0.001) | (drawn > 0.999)) == pytest.approx(0.935, abs=0.03)


def test_there_is_one_share_for_the_batch():
    assert draw_mixing(64, 0.5, generator()).share.shape == ()


def test_partners_are_a_permutation():
    assert sorted(draw_mixing(64, 0.5, generator()).partner.tolist()) == list(range(64))


def test_every_clip_is_equally_often_a_partner():
    shared = generator()
    partners = torch.stack([draw_mixing(4, 0.5, shared).partner for _ in range(4000)])
    for place in range(4):
        np.testing.assert_allclose(partners[:, place].bincount(minlength=4) / 4000, 0.25, atol=0.03)


def test_same_seed_draws_the_same_mixing():
    one, other = draw_mixing(32, 0.5, generator(3)), draw_mixing(32, 0.5, generator(3))
    assert one.share == other.share
    assert torch.equal(one.partner, other.partner)


def test_another_seed_draws_another_mixing():
    one, other = draw_mixing(32, 0.5, generator(3)), draw_mixing(32, 0.5, generator(4))
    assert one.share != other.share
    assert not torch.equal(one.partner, other.partner)


def test_next_draw_is_another_one():
    shared = generator()
    one, other = draw_mixing(32, 0.5, shared), draw_mixing(32, 0.5, shared)
    assert one.share != other.share
    assert not torch.equal(one.partner, other.partner)


def test_global_generators_are_neither_used_nor_moved():
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
        drawn.append(draw_mixing(32, 0.5, generator()))
        assert torch.equal(torch.get_rng_state(), of_torch)
        np.testing.assert_array_equal(np.random.get_state()[1], of_numpy)  # noqa: NPY002
    assert drawn[0].share == drawn[1].share
    assert torch.equal(drawn[0].partner, drawn[1].partner)
