import pytest
import torch

from skasd.augmentations import PostNormalisation, PreNormalisation

X = 3 * torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0)) - 7


def test_fixed_statistics_stay():
    norm = PreNormalisation(-5.0, 4.0).train()
    torch.testing.assert_close(norm(X), (X + 5) / 4)
    assert int(norm.n_seen) == 0


def test_a_spread_of_nothing_divides_by_one():
    torch.testing.assert_close(PreNormalisation(2.0, 0.0)(torch.full((1, 2, 2), 2.0)), torch.zeros(1, 2, 2))


def test_running_statistics_are_means_over_the_spectrograms():
    norm = PreNormalisation(0.0, 1.0, running_clips=100).train()
    norm(X[:1])
    norm(X[1:2])
    means = X.mean(dim=(1, 2))
    first = (X[0] - means[0]).square().mean()
    both = means[:2].mean()
    second = (X[1] - both).square().mean()
    torch.testing.assert_close(norm.mean, both)
    torch.testing.assert_close(norm.variance, (first + second) / 2)


def test_running_statistics_freeze_after_so_many():
    norm = PreNormalisation(0.0, 1.0, running_clips=4).train()
    norm(X[:4])
    kept = norm.mean.clone()
    norm(X[4:] + 100)
    torch.testing.assert_close(norm.mean, kept)
    norm.eval()(X)
    assert int(norm.n_seen) == 4


def test_nothing_runs_when_clips_are_scored():
    norm = PreNormalisation(0.0, 1.0, running_clips=4).eval()
    torch.testing.assert_close(norm(X), X)


def test_values_of_a_batch_have_the_spread_of_the_population():
    made = PostNormalisation().train()(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    torch.testing.assert_close(made.flatten(), torch.tensor([-1.341641, -0.447214, 0.447214, 1.341641]))


def test_a_training_batch_has_zero_mean_and_unit_spread():
    made = PostNormalisation().train()(X)
    assert made.mean().item() == pytest.approx(0, abs=1e-5)
    assert made.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(PostNormalisation().train()(torch.ones(2, 3, 3))).all()


def test_scored_clips_do_not_depend_on_each_other():
    norm = PostNormalisation().train()
    norm(X)
    norm.eval()
    together = norm(X)
    for index in range(len(X)):
        assert torch.equal(norm(X[index : index + 1])[0], together[index])
    torch.testing.assert_close(together, (X - X.mean()) / X.std(correction=0))  # statistics of the only batch so far


def test_frozen_statistics_are_means_first_and_a_moving_average_then():
    norm = PostNormalisation(momentum=0.5).train()
    for level in (0.0, 2.0, 8.0):
        norm(X - X.mean() + level)
    assert norm.mean.item() == pytest.approx(0.5 * ((0 + 2) / 2) + 0.5 * 8, abs=1e-5)
