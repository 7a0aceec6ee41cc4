import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skasd.training._norm_warmup import CompiledNormWarmup
from tests.training.tiny import TinyObjective, fit, seeded_objective


class Batches(Callback):
    """Keeps what batch normalisation sees in training, and the share of each batch."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.seen, self.shares = [], []
        self.layer = net.module_.student.network[1]
        self.layer.register_forward_hook(self._look)

    def _look(self, layer, inputs, output):
        if layer.training:
            self.seen.append(inputs[0].detach().clone())
            self.shares.append(layer.momentum)


def test_running_statistics_of_the_first_steps_are_plain_means():
    batches = Batches()
    objective = seeded_objective(TinyObjective)
    fit(objective=objective, max_epochs=1, batch_size=4, ema_decay=None, callbacks=[batches])
    n_steps = len(batches.seen)
    assert 1 < n_steps < 10
    mean = torch.stack([seen.mean(dim=0) for seen in batches.seen]).mean(dim=0)
    variance = torch.stack([seen.var(dim=0) for seen in batches.seen]).mean(dim=0)
    torch.testing.assert_close(batches.layer.running_mean, mean)
    torch.testing.assert_close(batches.layer.running_var, variance)
    np.testing.assert_allclose(batches.shares, 1 / (np.arange(n_steps) + 1))


def test_later_steps_have_the_usual_share_and_so_has_the_layer_afterwards():
    batches = Batches()
    fit(max_epochs=8, batch_size=4, callbacks=[batches])
    assert batches.shares[:3] == pytest.approx([1, 1 / 2, 1 / 3])
    assert set(batches.shares[10:]) == {0.1}
    assert batches.layer.momentum == 0.1


def test_it_can_be_turned_off():
    batches = Batches()
    fit(max_epochs=1, batch_size=4, batch_norm_warmup=False, callbacks=[batches])
    assert set(batches.shares) == {0.1}


class TwiceObjective(TinyObjective):
    """Its network runs twice in a step."""

    def forward(self, inputs, label, generator):
        return super().forward(inputs, label, generator) + super().forward(inputs, label, generator)


def running(objective, **options):
    objective = fit(objective, max_epochs=1, batch_size=4, learning_rate=1e-6, ema_decay=None, **options).objective
    return objective.network[1].running_mean, objective.network[1].running_var


def test_for_compiled_networks_the_statistics_are_corrected_instead():
    usual = running(seeded_objective(TinyObjective))
    corrected = running(seeded_objective(TinyObjective), batch_norm_warmup=False, callbacks=[CompiledNormWarmup()])
    torch.testing.assert_close(corrected, usual)


def test_corrected_statistics_forget_the_start_also_where_a_layer_runs_twice():
    one, two = (
        running(seeded_objective(kind), batch_norm_warmup=False, callbacks=[CompiledNormWarmup()])
        for kind in (TinyObjective, TwiceObjective)
    )
    torch.testing.assert_close(two, one, rtol=0.2, atol=0.05)  # other noise, but of the same clips


def test_a_compiled_training_says_so(caplog, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: None)
    fit(max_epochs=1, compile=True)
    assert "compile=True: torch compiles the network" in caplog.text
