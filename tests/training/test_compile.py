import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from skasd.networks import Dropout
from skasd.training import evaluated
from tests.training.tiny import TinyObjective, assert_same_state, fit, seeded_objective, waveforms

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),  # torch's compiler uses what torch deprecates
]


class OwnNet(nn.Module):
    """A network with a forward of its own; torch compiles no bare Sequential in place."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, X):
        return self.layers(X)


def trained(dropout=0.0, **options):
    objective = seeded_objective(TinyObjective)
    layers = [*objective.network, Dropout(dropout)] if dropout else objective.network
    objective.network = OwnNet(nn.Sequential(*layers))
    return fit(objective, max_epochs=2, validation_fraction=0.3, ema_decay=None, **options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A compiled training, whose code went into a folder of its own, and how many pieces of code torch compiled for it."""
    import torch._dynamo  # takes seconds, also where these tests are not run

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        torch._dynamo.utils.counters.clear()
        training = trained(compile=True)
        return training, torch._dynamo.utils.counters["frames"]["ok"]


def test_the_network_is_compiled(compiled):
    assert compiled[1] > 0


def test_a_compiled_network_learns_what_it_learns_without(compiled):
    losses = [[epoch["train_loss"] for epoch in training.history] for training in (compiled[0], trained())]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_running_statistics_are_warmed_up_as_without(compiled):
    # not the means: they follow the bias of the layer before, whose gradient is rounding errors alone
    found, expected = (training.objective.network.layers[1].running_var for training in (compiled[0], trained()))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)


def test_what_came_of_a_compiled_training_can_be_pickled(compiled):
    training, _ = compiled
    assert_same_state(pickle.loads(pickle.dumps(training)).objective, training.objective)


def test_a_network_that_was_compiled_evaluates_clips(compiled):
    network, X = compiled[0].objective.network, waveforms(3)
    (output,) = evaluated(network, [X], torch.device("cpu"))
    np.testing.assert_allclose(output, network.layers(torch.from_numpy(X)).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's tracer looks at it
def test_dropout_draws_in_a_compiled_network_what_it_draws_without():
    found, expected, other = (
        trained(dropout=p, compile=c).history for p, c in ((0.5, True), (0.5, False), (0.4, False))
    )
    losses = [[epoch["train_loss"] for epoch in history] for history in (found, expected, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[2] != pytest.approx(losses[1], rel=1e-2)
