import pickle
import random
import re

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EpochScoring

from skasd.training import Training, seeded
from tests.training.tiny import TinyObjective, assert_same_state, checkpoint, fit, resuming, seeded_objective


class DivergingObjective(TinyObjective):
    """Its loss is no number from the fifth step on."""

    n_steps = 0

    def forward(self, inputs, label, generator):
        self.n_steps += 1
        return super().forward(inputs, label, generator) * (torch.nan if self.n_steps >= 5 else 1)


class Calls(Callback):
    """Counts what it is told."""

    def initialize(self):
        self.n_epochs = self.n_steps = self.n_trainings = 0
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        self.n_steps += training

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.n_trainings += 1


def global_states():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), name, keys.tolist(), rest, random.getstate()


def last_bar(shown):
    """What the last line of a progress bar says: percentage, steps done, steps in all."""
    return [int(number) for number in re.findall(r"(\d+)%\|[^\r]*\| (\d+)/(\d+) ", shown)[-1]]


def test_the_loss_falls():
    losses = [epoch["train_loss"] for epoch in fit(max_epochs=20, n_clips=40).history]
    assert losses[-1] < 0.8 * losses[0]


def test_same_seed_same_weights():
    assert_same_state(fit(seed=3).objective, fit(seed=3).objective)


def test_another_seed_gives_other_weights():
    one, other = (fit(seed=seed).objective.network[0].weight for seed in (0, 1))
    assert not torch.equal(one, other)


def test_weights_do_not_depend_on_the_global_generators():
    usual = fit().objective
    with torch.random.fork_rng():
        torch.manual_seed(99)
        objective = seeded_objective()
        torch.rand(7)
        assert_same_state(fit(objective).objective, usual)


@pytest.mark.parametrize("options", [{}, {"sampling": "balanced"}, {"validation_fraction": 0.3}], ids=str)
def test_training_leaves_the_global_generators_as_they_were(options):
    objective = seeded_objective()
    before = global_states()
    fit(objective, **options)
    assert global_states() == before


def test_a_seeded_block_leaves_the_global_generators_as_they_were():
    before = global_states()
    with seeded(3):
        torch.rand(3)
    assert global_states() == before


def test_a_seeded_block_that_fails_leaves_the_global_generators_as_they_were():
    before = global_states()
    with pytest.raises(ZeroDivisionError), seeded(3):
        torch.rand(3)
        raise ZeroDivisionError
    assert global_states() == before


def test_a_seeded_block_draws_the_same_numbers_each_time():
    drawn = []
    for seed in (3, 3, 4):
        with seeded(seed):
            drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_loss_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match=r"The loss became nan in epoch 2 at a learning rate of 0\.007"):
        fit(seeded_objective(DivergingObjective))  # three steps an epoch


def test_a_held_out_loss_that_is_not_a_number_is_refused():
    class Overflowing(TinyObjective):
        def validation_loss(self, inputs, label):
            return super().validation_loss(inputs, label) * torch.nan

    with pytest.raises(ValueError, match="The loss became nan in epoch 1"):
        fit(seeded_objective(Overflowing), validation_fraction=0.3)


def test_callbacks_of_the_user_are_called():
    calls = Calls()
    fit(callbacks=[calls])
    assert (calls.n_epochs, calls.n_steps, calls.n_trainings) == (3, 9, 1)


def test_a_callback_may_have_a_name():
    calls = Calls()
    fit(callbacks=[("calls", calls)])
    assert calls.n_epochs == 3


def test_a_tuple_of_callbacks_is_taken():
    calls = Calls()
    fit(callbacks=(calls,))
    assert calls.n_epochs == 3


def test_a_scoring_callback_of_skorch_sees_each_epoch():
    scores = []

    def scoring(net, X, y):
        scores.append(len(net.history))
        return 0.0

    fit(callbacks=[EpochScoring(scoring, use_caching=False, on_train=True, name="mine")])
    assert scores == [1, 2, 3]


def test_nothing_is_shown_by_default(capsys):
    fit(validation_fraction=0.3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("n_clips", [12, 10, 9], ids="{} clips".format)
def test_the_bar_is_full_at_the_end(capsys, n_clips):
    fit(n_clips=n_clips, verbose=1)
    shown = capsys.readouterr()
    percentage, done, total = last_bar(shown.err)
    assert shown.out == ""
    assert (percentage, done) == (100, total)


def test_the_bar_is_full_at_the_end_of_a_training_that_went_on(capsys, tmp_path):
    fit(max_epochs=2, callbacks=[checkpoint(tmp_path)])
    capsys.readouterr()
    fit(max_epochs=4, callbacks=resuming(tmp_path), verbose=1)
    assert last_bar(capsys.readouterr().err) == [100, 12, 12]


def test_the_bar_tells_the_losses(capsys):
    training = fit(verbose=1, validation_fraction=0.3)
    last = training.history[-1]
    shown = capsys.readouterr().err
    assert f"train_loss={last['train_loss']:.3g}" in shown
    assert f"valid_loss={last['valid_loss']:.3g}" in shown


def test_batch_normalisation_may_have_a_last_batch_of_one_clip():
    assert len(fit(n_clips=9).history) == 3


def test_two_clips_are_enough():
    assert len(fit(n_clips=2).history) == 3


def test_what_came_of_a_training_can_be_pickled():
    training = fit()
    loaded = pickle.loads(pickle.dumps(training))
    assert isinstance(loaded, Training)
    assert_same_state(loaded.objective, training.objective)


@pytest.mark.parametrize("names_parts", [True, False])
def test_the_network_is_compiled_or_the_parts_that_the_objective_names(monkeypatch, names_parts):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, *args, **kwargs: compiled.append(module))
    objective = seeded_objective()
    if names_parts:
        objective.compiled_parts = tuple(objective.network[:2])
    fit(objective, compile=True, ema_decay=None)
    assert compiled == (list(objective.network[:2]) if names_parts else [objective.network])


def test_an_unknown_device_is_refused_by_name():
    with pytest.raises(ValueError, match="device='tpu'"):
        fit(device="tpu")
