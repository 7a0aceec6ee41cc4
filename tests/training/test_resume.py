import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, LoadInitState

from skasd.augmentations import SpectrumAugmentation, TrainingSpectra
from skasd.objectives._contrastive_spectrum import ContrastOptions, train_contrastive_spectrum
from skasd.objectives._network_options import MobileFaceNetOptions, SegmentNetOptions
from skasd.objectives._osscl import OSSCLOptions, train_osscl
from skasd.training import TrainingPlan
from tests.training.tiny import (
    BreakOff,
    ScriptedObjective,
    TinyObjective,
    assert_same_state,
    checkpoint,
    filled_store,
    fit,
    labels,
    resuming,
    seeded_objective,
)

REPOSITORY = Path(__file__).resolve().parents[2]


class Killed(Exception):  # noqa: N818
    """In place of a kill."""


def fit_osscl(callbacks=None, max_epochs=4):
    log_mel = np.random.default_rng(0).standard_normal((12, 8, 9)).astype(np.float32)
    return train_osscl(
        filled_store(log_mel, name="log_mel"),
        labels(12),
        branches=("log_mel",),
        size=(8, 9),
        hop_length=512,
        dtype=np.dtype(np.float32),
        options=OSSCLOptions(network=MobileFaceNetOptions(embedding_dim=8, bottlenecks=[(2, 8, 1, 2)])),
        plan=TrainingPlan(max_epochs=max_epochs, batch_size=4, learning_rate=1e-3, device="cpu", callbacks=callbacks),
        seed=0,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema_decay": None},
        {"sampling": "balanced"},
        {"validation_fraction": 0.3},
        {"memory_budget": 1},
        {"schedule_start": 2, "weight_decay": 0.5},
    ],
    ids=str,
)
def test_a_training_that_goes_on_gives_the_weights_of_one_without_a_break(tmp_path, options):
    whole = fit(max_epochs=5, **options)
    with pytest.raises(Killed):
        fit(max_epochs=5, callbacks=[checkpoint(tmp_path), BreakOff(4, Killed)], **options)
    went_on = fit(max_epochs=5, callbacks=resuming(tmp_path), **options)
    assert_same_state(went_on.objective, whole.objective)


def test_a_training_that_goes_on_has_the_history_of_one_without_a_break(tmp_path):
    whole = fit(max_epochs=5)
    with pytest.raises(Killed):
        fit(max_epochs=5, callbacks=[checkpoint(tmp_path), BreakOff(4, Killed)])
    went_on = fit(max_epochs=5, callbacks=resuming(tmp_path))
    for name in ("epoch", "train_loss", "learning_rate"):
        assert [epoch[name] for epoch in went_on.history] == [epoch[name] for epoch in whole.history]


def fit_contrastive(callbacks=None):
    log_mel = np.random.default_rng(0).standard_normal((12, 8, 12)).astype(np.float32)
    sizes = SegmentNetOptions(embedding_dim=8, bottlenecks=[(2, 8, 1, 2)], segment_length=8)
    spectra = TrainingSpectra(np.linspace(500, 8000, 8), np.ones((2, 8)), 0.0, 1.0, 1.0, 8, 12)
    return train_contrastive_spectrum(
        filled_store(log_mel, name="log_mel"),
        labels(12),
        np.arange(12) % 3 == 0,
        augmenter=SpectrumAugmentation(pre_norm="running", bank_size=30).prepare(spectra),
        size=(8, 12),
        dtype=np.dtype(np.float32),
        options=ContrastOptions(network=sizes),
        plan=TrainingPlan(max_epochs=4, batch_size=4, learning_rate=1e-3, device="cpu", callbacks=callbacks),
        seed=0,
    )


def test_a_contrastive_training_goes_on_with_the_past_that_it_mixes_in(tmp_path):
    whole = fit_contrastive()
    with pytest.raises(Killed):
        fit_contrastive([checkpoint(tmp_path), BreakOff(3, Killed)])
    assert_same_state(fit_contrastive(resuming(tmp_path)).objective, whole.objective)


def test_the_initial_weights_do_not_matter_where_a_training_goes_on(tmp_path):
    with pytest.raises(Killed):
        fit(callbacks=[checkpoint(tmp_path), BreakOff(3, Killed)])
    with torch.random.fork_rng():
        torch.manual_seed(99)
        went_on = fit(TinyObjective(), callbacks=resuming(tmp_path))
    assert_same_state(went_on.objective, fit().objective)


def test_a_training_goes_on_after_an_interrupt(tmp_path):
    with pytest.warns(UserWarning, match="interrupted in epoch 3 of 5"):
        fit(max_epochs=5, callbacks=[checkpoint(tmp_path), BreakOff(3)])
    went_on = fit(max_epochs=5, callbacks=resuming(tmp_path))
    assert_same_state(went_on.objective, fit(max_epochs=5).objective)


def test_the_best_epoch_before_the_break_is_remembered(tmp_path):
    def training(losses, callbacks):
        objective = seeded_objective(ScriptedObjective, losses)
        return fit(objective, max_epochs=5, validation_fraction=0.3, callbacks=callbacks)

    whole = training([3.0, 1.0, 2.0, 2.0, 2.0], None)
    with pytest.raises(Killed):
        training([3.0, 1.0, 2.0, 2.0], [checkpoint(tmp_path), BreakOff(4, Killed)])
    went_on = training([2.0, 2.0], resuming(tmp_path))
    assert_same_state(went_on.objective, whole.objective)


def test_patience_counts_epochs_before_the_break(tmp_path):
    def training(losses, callbacks):
        objective = seeded_objective(ScriptedObjective, losses)
        return fit(objective, max_epochs=9, validation_fraction=0.3, patience=3, callbacks=callbacks)

    with pytest.raises(Killed):
        training([1.0, 2.0, 2.0, 2.0], [checkpoint(tmp_path), BreakOff(4, Killed)])
    assert len(training([2.0, 2.0], resuming(tmp_path)).history) == 4


def test_a_training_that_was_whole_is_not_trained_further(tmp_path):
    whole = fit(callbacks=[checkpoint(tmp_path)])
    again = fit(callbacks=resuming(tmp_path))
    assert len(again.history) == 3
    assert_same_state(again.objective, whole.objective)


def test_without_a_checkpoint_a_training_starts_from_the_beginning(tmp_path):
    assert_same_state(fit(callbacks=resuming(tmp_path / "empty")).objective, fit().objective)


def test_a_checkpoint_whose_weights_and_history_disagree_is_refused(tmp_path):
    fit(max_epochs=2, callbacks=[checkpoint(tmp_path / "two")])
    fit(max_epochs=3, callbacks=[checkpoint(tmp_path / "three")])
    shutil.copy(
        tmp_path / "three" / "params.pt", tmp_path / "two" / "params.pt"
    )  # killed before the history was written
    with pytest.raises(ValueError, match="weights of epoch 3 and a history of 2 epochs: writing it was interrupted"):
        fit(max_epochs=5, callbacks=resuming(tmp_path / "two"))


def test_a_checkpoint_of_some_epochs_only_is_whole_in_itself(tmp_path):
    best = Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best")
    options = {"max_epochs": 5, "validation_fraction": 0.3}
    losses = [3.0, 1.0, 2.0, 2.0, 2.0]
    whole = fit(seeded_objective(ScriptedObjective, losses), callbacks=[best], **options)
    objective = seeded_objective(ScriptedObjective, losses[2:])
    went_on = fit(objective, callbacks=[LoadInitState(best)], **options)
    assert_same_state(went_on.objective, whole.objective)


class Wait(Callback):
    """Tells that an epoch runs, and waits there to be killed."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            print(f"epoch {self.epoch}", flush=True)  # noqa: T201
            signal.pause()


CHILD = """
import sys
import torch
from tests.training import test_resume

torch.set_num_threads(1)
train = getattr(test_resume, sys.argv[1])
train(callbacks=[test_resume.checkpoint(sys.argv[2]), test_resume.Wait(4)], max_epochs=5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("train", [fit, fit_osscl])
def test_a_killed_training_goes_on_to_the_weights_of_one_without_a_break(tmp_path, train):
    command = [sys.executable, "-c", CHILD, train.__name__, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "epoch 4\n"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    went_on = train(callbacks=resuming(tmp_path), max_epochs=5)
    assert [epoch["epoch"] for epoch in went_on.history] == [1, 2, 3, 4, 5]
    assert_same_state(went_on.objective, train(max_epochs=5).objective)
