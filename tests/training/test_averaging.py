from math import factorial

import pytest
import torch
from torch import nn

from skasd.training._averaging import Learner
from tests.training.tiny import N_TIMEPOINTS, TinyObjective, fit, labels, seeded_objective, waveforms


class OneWeight(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value, dtype=torch.float64))


def learner_of_ones(decay=0.9999):
    """The weight that learns stays at 1, its average starts from 0."""
    learner = Learner(OneWeight(0.0), decay, keeps_best=False)
    learner.student.weight.data.fill_(1.0)
    return learner


def kept_share(step):
    """Share of the average that is kept at a step."""
    learner = learner_of_ones()
    learner.n_steps.fill_(step)
    learner.update_average()
    return 1 - learner.average.weight.item()


def batch_norm(module):
    return next(layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d))


def learner_after_steps(n_steps=3, decay=0.9):
    learner = Learner(seeded_objective(), decay, keeps_best=False)
    learner.train(True)
    for step in range(n_steps):
        inputs = {"waveform": torch.from_numpy(waveforms(8)) + step}
        learner.student(inputs, torch.from_numpy(labels(8)), torch.Generator().manual_seed(step))
        learner.update_average()
    return learner


@pytest.mark.parametrize("step, share", [(0, 0.1), (10, 0.55), (1000, 0.991089)])
def test_published_shares_of_the_warm_up(step, share):
    assert kept_share(step) == pytest.approx(share, abs=5e-7)


def test_the_warm_up_ends_at_step_89_990():
    assert kept_share(89_989) < kept_share(89_990) == pytest.approx(0.9999, abs=1e-12)
    assert kept_share(500_000) == pytest.approx(0.9999, abs=1e-12)


def test_the_start_is_forgotten_as_the_shares_say():
    learner = learner_of_ones()
    for _ in range(10):
        learner.update_average()
    left = factorial(10) * factorial(9) / factorial(19)  # product of (1 + t) / (10 + t)
    assert 1 - learner.average.weight.item() == pytest.approx(left, rel=1e-9)


def test_a_smaller_decay_caps_the_warm_up():
    learner = learner_of_ones(decay=0.25)
    for _ in range(3):
        learner.update_average()
    assert 1 - learner.average.weight.item() == pytest.approx(0.1 * (2 / 11) * 0.25)


def test_a_decay_of_zero_follows_the_weights():
    learner = learner_of_ones(decay=0.0)
    learner.update_average()
    assert learner.average.weight.item() == 1


def test_batch_norm_statistics_are_averaged_not_copied():
    learner = learner_after_steps()
    for name in ("running_mean", "running_var"):
        averaged, current = (getattr(batch_norm(module), name) for module in (learner.average, learner.student))
        assert (averaged - current).abs().min() > 1e-4


def test_batch_norm_statistics_take_the_share_of_the_weights():
    learner = learner_after_steps(n_steps=1)
    averaged, current = batch_norm(learner.average).running_mean, batch_norm(learner.student).running_mean
    torch.testing.assert_close(averaged, 0.9 * current)  # they start from 0


def test_counted_batches_are_copied():
    assert batch_norm(learner_after_steps(n_steps=3).average).num_batches_tracked.item() == 3


def test_only_the_weights_that_learn_are_ever_in_training_mode():
    learner = Learner(seeded_objective(), 0.9, keeps_best=True).train()
    assert learner.student.network.training
    assert not any(module.training for kept in (learner.average, learner.best) for module in kept.modules())


def test_the_average_learns_no_gradients_of_its_own():
    learner = Learner(seeded_objective(), 0.9, keeps_best=True)
    assert not any(p.requires_grad for kept in (learner.average, learner.best) for p in kept.parameters())


def test_without_decay_the_objective_itself_is_trained():
    objective = seeded_objective()
    assert fit(objective, ema_decay=None).objective is objective


class LinearObjective(TinyObjective):
    """Without noise, and without batch normalisation, before which a bias has rounding errors for a gradient."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(N_TIMEPOINTS, 2).double()

    def forward(self, inputs, label, generator):
        return self.validation_loss(inputs, label)


def test_without_decay_the_weights_are_those_of_plain_adamw():
    trained = fit(seeded_objective(LinearObjective), ema_decay=None, batch_size=12, min_learning_rate=0.01)
    plain = seeded_objective(LinearObjective)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.01)
    inputs, label = {"waveform": torch.from_numpy(waveforms(12)).double()}, torch.from_numpy(labels(12))
    for _ in range(3):
        optimizer.zero_grad()
        plain.validation_loss(inputs, label).backward()
        optimizer.step()
    torch.testing.assert_close(trained.objective.state_dict(), plain.state_dict())


def test_the_average_is_what_is_returned():
    averaged, plain = (fit(ema_decay=decay).objective for decay in (0.9999, None))
    difference = averaged.network[0].weight - plain.network[0].weight
    assert difference.abs().max() > 1e-3


def test_the_average_does_not_change_what_is_learnt():
    losses = [[epoch["train_loss"] for epoch in fit(ema_decay=decay).history] for decay in (0.9999, 0.5, None)]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("decay", [0.9999, None])
def test_what_is_returned_is_in_evaluation_mode_and_can_be_trained_on(decay):
    objective = fit(ema_decay=decay, validation_fraction=0.3).objective
    assert not any(module.training for module in objective.modules())
    assert all(parameter.requires_grad for parameter in objective.parameters())


def test_clips_of_float64_train_a_float64_objective():
    objective = fit(seeded_objective().double()).objective
    assert all(p.dtype == torch.float64 and p.isfinite().all() for p in objective.parameters())


class Clips(nn.Module):
    """Holds clips beside a weight."""

    holds_clips = True

    def __init__(self):
        super().__init__()
        self.register_buffer("entries", torch.zeros(3))


class WithClips(OneWeight):
    def __init__(self):
        super().__init__(0.0)
        self.register_buffer("level", torch.zeros(()))
        self.clips = Clips()


def test_clips_that_a_module_holds_are_not_averaged():
    learner = Learner(WithClips(), 0.9, keeps_best=True)
    for tensor in learner.student.state_dict().values():
        tensor.fill_(1.0)
    learner.update_average()
    learner.keep_as_best()
    assert learner.best.level.item() == learner.average.level.item()
    assert learner.average.level.item() == pytest.approx(0.9)  # the share kept at the first step is a tenth
    assert learner.average.clips.entries.numel() == 0  # nor copied
    assert learner.student.clips.entries.all()
