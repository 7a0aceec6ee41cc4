import pickle
import shutil

import pytest

from tests.training.tiny import assert_same_state, fit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),  # torch's compiler uses what torch deprecates
]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Compiled code of a test goes into a folder of its own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))


def test_a_compiled_network_learns_what_it_learns_without():
    losses, compiled = (
        [epoch["train_loss"] for epoch in fit(compile=flag, max_epochs=2).history] for flag in (False, True)
    )
    assert compiled == pytest.approx(losses, rel=1e-4)


def test_what_came_of_a_compiled_training_can_be_pickled():
    training = fit(compile=True, max_epochs=1, averaging_decay=None)
    assert_same_state(pickle.loads(pickle.dumps(training)).objective, training.objective)


def test_a_compiled_network_may_be_validated():
    history = fit(compile=True, max_epochs=1, averaging_decay=None, validation_fraction=0.3).history
    assert history[0]["valid_loss"] > 0
