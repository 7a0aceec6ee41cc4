import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

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
