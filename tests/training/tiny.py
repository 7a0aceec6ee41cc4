"""A tiny objective, clips for it, and callbacks that watch a training or break it off."""

from contextlib import closing
from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from torch import nn
from torch.nn import functional

from skasd.training import ClipStore, TrainingPlan, seeded, train

N_TIMEPOINTS = 4


class TinyObjective(nn.Module):
    """Classification of noisy waveforms by two layers, with batch normalisation between them."""

    def __init__(self, n_classes=2):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(N_TIMEPOINTS, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_classes))

    def forward(self, inputs, label, generator):
        waveform = inputs["waveform"]
        noise = torch.randn(waveform.shape, generator=generator, dtype=waveform.dtype)
        return functional.cross_entropy(self.network(waveform + 0.1 * noise), label)

    def validation_loss(self, inputs, label):
        return functional.cross_entropy(self.network(inputs["waveform"]), label)


class ScriptedObjective(TinyObjective):
    """Its losses on held-out clips are given, one an epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses, self.n_validated = losses, 0

    def validation_loss(self, inputs, label):
        self.n_validated += 1
        return torch.tensor(self.losses[self.n_validated - 1])


def seeded_objective(build=TinyObjective, *args):
    with seeded(0):
        return build(*args)


def labels(n_clips):
    return np.arange(n_clips) % 2


def waveforms(n_clips):
    """16-bit ones, of which the classes differ in their level."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-8000, 8000, (n_clips, N_TIMEPOINTS)) + 8000 * labels(n_clips)[:, None]
    return (noise / 2**15).astype(np.float32)


def filled_store(values, memory_budget=np.inf, name="waveform"):
    store = ClipStore(len(values), memory_budget)
    store.fill({name: value} for value in values)
    return store


def fit(objective=None, label=None, *, n_clips=12, memory_budget=np.inf, seed=0, **options):
    """A training of a few steps; `options` are fields of TrainingPlan."""
    usual = {"max_epochs": 3, "batch_size": 4, "learning_rate": 0.01, "precision": "float32", "device": "cpu"}
    label = labels(n_clips) if label is None else np.asarray(label)
    with closing(filled_store(waveforms(len(label)), memory_budget)) as store:
        return train(objective or seeded_objective(), store, label, TrainingPlan(**usual | options), seed=seed)


def checkpoint(folder):
    return Checkpoint(dirname=str(folder), monitor=None)


def resuming(folder):
    """Callbacks of a training that goes on from a folder, if there is something in it."""
    made = checkpoint(folder)
    return [made, LoadInitState(made)]


def assert_same_state(one, other):
    """Bit for bit, of modules or of their states."""
    one, other = (module.state_dict() if isinstance(module, nn.Module) else module for module in (one, other))
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, f"{different} differ"


class States(Callback):
    """Keeps what would be the result after each epoch."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.of_epoch = {}

    def on_epoch_end(self, net, **kwargs):
        self.of_epoch[len(net.history)] = deepcopy(net.module_.result.state_dict())


class SeenLabels(Callback):
    """Keeps the labels of each epoch's training clips in their order: rows, if each clip is a class of its own."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.of_epoch = {}

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.of_epoch.setdefault(len(net.history), []).extend(batch[1].tolist())


class BreakOff(Callback):
    """Raises after the first step of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise self.error("broken off")
