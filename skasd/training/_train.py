"""Train an objective on the clips of a store."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from skasd._device import check_device, torch_device
from skasd._parameters import check_integer, check_number, check_option
from skasd.training._averaging import Learner
from skasd.training._callbacks import (
    CosineSchedule,
    HalvingSchedule,
    KeepBest,
    NormWarmUp,
    Progress,
    StopOnNaN,
    WeightAveraging,
)
from skasd.training._data import SAMPLINGS, ClipStore, Order, Rows
from skasd.training._memory import reused_memory
from skasd.training._net import TrainingNet
from skasd.training._patches import PatchStore
from skasd.training._precision import autocast_dtype

_PRECISIONS = ("auto", "float32", "bfloat16")
_SCHEDULES = ("cosine", "halved_epochs", "halved_steps", "constant")


@dataclass(frozen=True)
class TrainingOptions:
    """How an objective is trained; the names are those of the estimators.

    Parameters
    ----------
    max_epochs : int, default=300
        Passes over the training clips.
    batch_size : int, default=64
        Clips of a step, at least 2.
    learning_rate : float, default=1e-4
        Of AdamW, at the beginning.
    schedule : {"cosine", "halved_epochs", "halved_steps", "constant"}, default="cosine"
        How it falls: see :class:`CosineSchedule`, and :class:`HalvingSchedule` for the next two.
    min_learning_rate, schedule_start : float or None, int
        Of the cosine; None takes a tenth of the first.
    weight_decay : float, default=0.01
        Of AdamW.
    averaging_decay : float or None, default=0.9999
        See :class:`Learner`.
    sampling : {"shuffled", "balanced"}, default="shuffled"
        Every clip once an epoch, or as many with equal chances for every class.
    validation_fraction : float, default=0.0
        Share of the clips of each class that is held out.
    patience : int or None, default=None
        See :class:`KeepBest`.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        See :func:`autocast_dtype`.
    compile : bool, default=False
        Whether the network is compiled.
    memory_budget : float, default=8e9
        See :class:`ClipStore`, which the estimator makes.
    device : str, default="auto"
        Name of a torch device; "auto" is an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called after our own.
    verbose : int, default=0
        Shows a progress bar from 1 on.
    """

    max_epochs: int = 300
    batch_size: int = 64
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    min_learning_rate: float | None = None
    schedule_start: int = 0
    weight_decay: float = 0.01
    averaging_decay: float | None = 0.9999
    sampling: str = "shuffled"
    validation_fraction: float = 0.0
    patience: int | None = None
    precision: str = "auto"
    compile: bool = False
    memory_budget: float = 8e9
    device: str = "auto"
    callbacks: Any = None
    verbose: int = 0

    @classmethod
    def of(cls, estimator: Any, **settled: Any) -> "TrainingOptions":
        """Options from the parameters of an estimator, but for those that it has settled itself; checked."""
        given = {**vars(estimator), **settled}
        options = cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
        options._check()
        return options

    def _check(self) -> None:
        check_integer("max_epochs", self.max_epochs, low=1)
        check_integer("batch_size", self.batch_size, low=2)
        check_integer("schedule_start", self.schedule_start, low=0)
        check_integer("verbose", self.verbose, low=0)
        for name in ("learning_rate", "memory_budget"):
            check_number(name, getattr(self, name), low=0, above=True)
        check_number("weight_decay", self.weight_decay, low=0)
        if self.min_learning_rate is not None:
            check_number("min_learning_rate", self.min_learning_rate, low=0, high=self.learning_rate)
        if self.averaging_decay is not None:
            check_number("averaging_decay", self.averaging_decay, low=0, high=1)
        check_number("validation_fraction", self.validation_fraction, low=0, high=0.5)
        if self.patience is not None:
            check_integer("patience", self.patience, low=1, other="None")
            if not self.validation_fraction:
                raise ValueError(
                    f"patience={self.patience} stops a training by the loss of held-out clips, and validation_fraction=0 "
                    "holds none out; set it to 0.05, for example."
                )
        check_option("schedule", self.schedule, _SCHEDULES)
        check_option("sampling", self.sampling, SAMPLINGS)
        check_option("precision", self.precision, _PRECISIONS)
        check_option("compile", self.compile, (True, False))
        check_device(self.device)
        if self.callbacks is not None and not isinstance(self.callbacks, list | tuple):
            what = type(self.callbacks).__name__
            raise TypeError(f"callbacks={self.callbacks!r} is a {what}; a list of skorch callbacks is expected.")


@dataclass(frozen=True)
class Training:
    """What came of a training.

    Attributes
    ----------
    objective : nn.Module
        Averaged, on the CPU, in evaluation mode.
    history : list of dict
        Epoch, losses, learning rate and seconds of each epoch.
    held_out : ndarray of shape (n_held_out,)
        Positions of the clips that were held out.
    """

    objective: nn.Module
    history: list[dict[str, Any]]
    held_out: np.ndarray


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generators for the block, and leave them afterwards as they were before.

    Parameters
    ----------
    seed : int
        Of the generators of all devices.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def train(
    objective: nn.Module,
    store: ClipStore | PatchStore,
    label: np.ndarray,
    options: TrainingOptions,
    *,
    seed: int,
    order: Order | None = None,
) -> Training:
    """Train an objective.

    Parameters
    ----------
    objective : nn.Module
        Its ``network`` is what may be compiled, ``forward(inputs, label, generator)`` gives the loss of a batch,
        ``validation_loss(inputs, label)`` that of held-out clips.
    store : ClipStore or PatchStore
        The clips, at least two.
    label : ndarray of shape (n_clips,), int64
        Class of each clip.
    options : TrainingOptions
        How.
    seed : int
        Of the order of the clips, the held-out ones, and the objective.
    order : callable or None, default=None
        Draws the rows of an epoch; None does it as the options say.

    Returns
    -------
    training : Training

    Raises
    ------
    ValueError
        The loss is no longer a number, or a checkpoint does not fit.
    KeyboardInterrupt
        Interrupted before the first epoch was whole; later interrupts only warn.
    """
    device, dtype = torch_device(options.device), next(objective.parameters()).dtype
    learnt, held_out = _split(label, options.validation_fraction, seed)
    rows = store.rows_of(learnt)
    if len(rows) < 2:
        what = "patch" if isinstance(store, PatchStore) else "clip"
        raise ValueError(
            f"1 {what} of class {label[learnt[0]]} is all there is to train on; batch normalisation needs at least two. "
            "Give more clips or longer ones, or hold out fewer."
        )
    clips = store.on(device, dtype, label)
    learner = Learner(objective, options.averaging_decay, keeps_best=len(held_out) > 0).to(device)
    if options.compile:
        objective.network.compile()  # type: ignore[union-attr]
    sampling = SAMPLINGS[options.sampling] if order is None else order
    net = _net(learner, options, seed, device, autocast_dtype(options.precision, device, dtype), sampling)
    data = Rows(clips, torch.from_numpy(rows)), None
    if len(held_out):
        mixed = np.random.RandomState(seed).permutation(store.rows_of(held_out))  # of several classes in each batch
        data = data[0], Rows(clips, torch.from_numpy(mixed))  # type: ignore[assignment]
    with reused_memory():
        net.initialize().partial_fit(data)
    _tell_of_interrupt(net)
    result = (learner.best or learner.result).to("cpu").requires_grad_(True).eval()
    return Training(result, _epochs(net), held_out)


def _net(
    learner: Learner,
    options: TrainingOptions,
    seed: int,
    device: torch.device,
    autocast: torch.dtype | None,
    sampling: Order,
) -> TrainingNet:
    own = [_schedule(options), WeightAveraging(), StopOnNaN()]
    if not options.compile:  # a new share would compile everything anew
        own.append(NormWarmUp())
    if learner.best is not None:
        own.append(KeepBest(options.patience))
    if options.verbose >= 1:
        own.append(Progress())
    return TrainingNet(
        learner,
        seed=seed,
        sampling=sampling,
        autocast_dtype=autocast,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=options.weight_decay,
        optimizer__fused=device.type in ("cpu", "cuda") or None,
        lr=options.learning_rate,
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        callbacks=[*own, *(options.callbacks or ())],
        callbacks__print_log=None,
        device=str(device),
    )


def _schedule(options: TrainingOptions) -> CosineSchedule | HalvingSchedule:
    rate = options.learning_rate
    if options.schedule == "cosine":
        lowest = rate / 10 if options.min_learning_rate is None else options.min_learning_rate
        return CosineSchedule(rate, lowest, options.schedule_start)
    times = 0 if options.schedule == "constant" else 3
    return HalvingSchedule(rate, "step" if options.schedule == "halved_steps" else "epoch", times=times)


def _split(label: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and to hold out: the same share of every class, and never all of one."""
    rng = np.random.RandomState(seed)
    held_out = []
    for value in np.unique(label):
        rows = rng.permutation(np.flatnonzero(label == value))
        held_out.append(rows[: min(round(fraction * len(rows)), len(rows) - 1)])
    out = np.sort(np.concatenate(held_out))
    if fraction and not len(out):
        raise ValueError(
            f"validation_fraction={fraction} holds out none of {len(label)} clips in {len(held_out)} classes, as it takes "
            "the same share of each; give a larger share, or more clips."
        )
    return np.setdiff1d(np.arange(len(label)), out), out


def _tell_of_interrupt(net: TrainingNet) -> None:
    if not net.is_interrupted:
        return
    n_epochs = int(net.module_.n_epochs)
    if n_epochs == 0:
        raise KeyboardInterrupt("Interrupted before the first epoch was whole; nothing is fitted.")
    warnings.warn(
        f"The training was interrupted in epoch {n_epochs + 1} of {net.max_epochs}; what is fitted is the state of the last "
        f"whole epoch, {n_epochs}.",
        stacklevel=7,  # where fit was called
    )


def _epochs(net: TrainingNet) -> list[dict[str, Any]]:
    numbers = {"epoch": int, "train_loss": float, "valid_loss": float, "learning_rate": float, "dur": float}
    whole = list(net.history)[: int(net.module_.n_epochs)]
    return [{name: number(epoch[name]) for name, number in numbers.items() if name in epoch} for epoch in whole]
