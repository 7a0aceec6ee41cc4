import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from tests.training.tiny import BreakOff, ScriptedObjective, States, assert_same_state, fit, seeded_objective

REPOSITORY = Path(__file__).resolve().parents[2]


def interrupted(epoch, *callbacks, **options):
    with pytest.warns(UserWarning, match=f"interrupted in epoch {epoch} of 5"):
        return fit(max_epochs=5, callbacks=[*callbacks, BreakOff(epoch)], **options)


@pytest.mark.parametrize("options", [{}, {"ema_decay": None}, {"sampling": "balanced"}], ids=str)
def test_an_interrupt_leaves_the_state_of_the_last_whole_epoch(options):
    watch = States()
    fit(max_epochs=5, callbacks=[watch], **options)
    assert_same_state(interrupted(3, **options).objective, watch.of_epoch[2])


def test_an_interrupt_leaves_the_history_of_whole_epochs():
    history = interrupted(3).history
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    assert all("train_loss" in epoch for epoch in history)


def test_an_interrupt_leaves_the_best_of_the_whole_epochs():
    watch = States()
    objective = seeded_objective(ScriptedObjective, [5.0, 4.0, 3.0, 2.0, 1.0])
    training = interrupted(4, watch, objective=objective, validation_fraction=0.3)
    assert_same_state(training.objective, watch.of_epoch[3])


def test_an_interrupt_after_a_worse_epoch_leaves_the_best():
    watch = States()
    objective = seeded_objective(ScriptedObjective, [5.0, 1.0, 3.0, 2.0, 4.0])
    training = interrupted(5, watch, objective=objective, validation_fraction=0.3)
    assert_same_state(training.objective, watch.of_epoch[2])


def test_an_interrupt_in_the_first_epoch_passes_through():
    with pytest.raises(KeyboardInterrupt, match="nothing was fitted"):
        fit(callbacks=[BreakOff(1)])


class BetweenEpochs(Callback):
    """Ctrl-C that comes after an epoch, where skorch catches it without a word."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_between_two_epochs_is_told_too():
    handler = signal.getsignal(signal.SIGINT)
    watch = States()
    with pytest.warns(UserWarning, match="interrupted in epoch 3 of 5; the weights are those of .* epoch, 2"):
        training = fit(max_epochs=5, callbacks=[watch, BetweenEpochs(2)])
    assert training.interrupted
    assert_same_state(training.objective, watch.of_epoch[2])
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_after_the_last_epoch_leaves_a_whole_training():
    assert not fit(max_epochs=2, callbacks=[BetweenEpochs(2)]).interrupted
    assert not fit(max_epochs=2).interrupted


def test_a_training_says_that_it_was_interrupted():
    assert interrupted(3).interrupted


def test_an_interrupt_while_clips_are_streamed_leaves_the_last_whole_epoch():
    resident = interrupted(3)
    assert_same_state(interrupted(3, memory_budget=1).objective, resident.objective)


def test_early_stopping_of_skorch_stops_without_a_warning():
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=100.0, threshold_mode="abs", sink=str)
    watch = States()
    training = fit(max_epochs=9, callbacks=[watch, stopping])
    assert 1 < len(training.history) < 9
    assert_same_state(training.objective, watch.of_epoch[len(training.history)])


def test_other_errors_of_a_callback_pass_through():
    with pytest.raises(ZeroDivisionError, match="broken off"):
        fit(callbacks=[BreakOff(2, ZeroDivisionError)])


CHILD = """
import signal, sys, time, warnings
import torch
from skorch.callbacks import Callback
from tests.training.tiny import fit

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
torch.set_num_threads(1)

class Wait(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == 3:
            print("epoch 3", flush=True)
            time.sleep(60)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    training = fit(max_epochs=5, callbacks=[Wait()])
torch.save(training.objective.state_dict(), sys.argv[1])
print([str(warning.message) for warning in caught], flush=True)
"""


@pytest.mark.slow
def test_control_c_stops_a_process_with_what_is_fitted(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "state.pt")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "epoch 3\n"
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "interrupted in epoch 3 of 5" in said
    watch = States()
    fit(max_epochs=5, callbacks=[watch])
    assert_same_state(torch.load(tmp_path / "state.pt"), watch.of_epoch[2])
