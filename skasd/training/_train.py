"""Train an objective on the clips of a store."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import nn

from skasd._device import dtype_on, torch_device
from skasd._interrupt import interrupt_signals, note_interrupt
from skasd._torch_state import DrawnFrom, own_torch_state
from skasd.training._averaging import Learner
from skasd.training._batches import SAMPLINGS, Order, Rows
from skasd.training._callbacks import (
    CosineSchedule,
    HalvingSchedule,
    KeepBest,
    Progress,
    StopOnNaN,
    WeightAveraging,
)
from skasd.training._data import ClipStore
from skasd.training._hold_out import held_out_clips
from skasd.training._memory import reused_memory
from skasd.training._net import TrainingNet
from skasd.training._norm_warmup import CompiledNormWarmup, NormWarmup
from skasd.training._options import TrainingPlan
from skasd.training._patches import PatchStore
from skasd.training._precision import autocast_dtype
from skasd.training._processes import Processes

_LOG = logging.getLogger("skasd")


@dataclass(frozen=True)
class Training:
    """Result of a training.

    Parameters
    ----------
    objective : nn.Module
        The trained objective with averaged weights, on the CPU and in evaluation mode.
    history : list of dict
        Number, losses, learning rate and duration in seconds of each epoch.
    held_out : ndarray of shape (n_held_out,)
        Positions of the clips that were not trained on: the validation set, or those held out for the threshold.
    interrupted : bool, default=False
        Whether Ctrl-C ended the training before its last epoch.
    """

    objective: nn.Module
    history: list[dict[str, Any]]
    held_out: np.ndarray
    interrupted: bool = False


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Build networks within a ``with`` block whose weights follow from a seed alone.

    Torch's global generator is neither used nor changed, so several threads may build networks at once.

    Parameters
    ----------
    seed : int
        Seed of the weights.

    Yields
    ------
    generator : torch.Generator
        Generator on the CPU that the weights are drawn from. Pass it to :func:`train` for dropout.
    """
    generator = torch.Generator().manual_seed(seed)
    with own_torch_state(), DrawnFrom(generator):
        yield generator


def train(
    objective: nn.Module,
    store: ClipStore | PatchStore,
    label: np.ndarray,
    plan: TrainingPlan,
    *,
    seed: int,
    order: Order | None = None,
    generator: torch.Generator | None = None,
) -> Training:
    """Train an objective.

    Parameters
    ----------
    objective : nn.Module
        Module whose ``forward(inputs, label, generator)`` returns the loss of a batch, and whose ``validation_loss(inputs,
        label)`` returns the loss of held-out clips. Its ``compiled_parts``, or else its ``network``, are what `compile` of
        the plan compiles.
    store : ClipStore or PatchStore
        The clips, at least two.
    label : ndarray of shape (n_clips,), int64
        Class of each clip.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the order of the clips, the choice of those held out, and the generator passed to the objective.
    order : callable or None, default=None
        Function that draws the rows of an epoch. None uses `sampling` of the plan.
    generator : torch.Generator or None, default=None
        Generator on the CPU for layers of the objective with an attribute `generator`, such as
        :class:`~skasd.networks.Dropout`; they have it only during the training. None makes one from `seed`.

    Returns
    -------
    training : Training
        The trained objective and its history.

    Raises
    ------
    ValueError
        If the loss becomes NaN or infinite, if there are fewer than two clips or patches to train on, if a checkpoint
        does not fit, or if processes that train together have different seeds or clips.
    KeyboardInterrupt
        If the training is interrupted before the end of the first epoch; later interrupts only warn, except in suites and
        commands.
    """
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    with own_torch_state():
        return _trained(objective, store, label, plan, seed, order, generator)


def _trained(
    objective: nn.Module,
    store: ClipStore | PatchStore,
    label: np.ndarray,
    plan: TrainingPlan,
    seed: int,
    order: Order | None,
    generator: torch.Generator,
) -> Training:
    device, processes = torch_device(plan.device), None
    if plan.accelerate:
        processes = Processes(on_cpu=plan.device == "cpu")
        device = _own_device(plan.device, device, processes.device)
    dtype = dtype_on(device, next(objective.parameters()).dtype)
    held_out = held_out_clips(label, plan, store.recordings, seed)
    learnt, is_validated = np.setdiff1d(np.arange(len(label)), held_out), plan.validation_fraction > 0
    rows = store.rows_of(learnt)
    if len(rows) < 2:
        what = "patch" if isinstance(store, PatchStore) else "clip"
        raise ValueError(
            f"There is only 1 {what} to train on, of class {label[learnt[0]]}; batch normalisation needs at least two. "
            "Give more or longer clips, or hold out fewer."
        )
    if processes is not None:
        _refuse_unequal(processes, objective, rows, label[learnt], seed)
    clips = store.on(device, dtype, label)
    if any(parameter.dtype != dtype for parameter in objective.parameters()):
        objective.to(dtype)  # which leaves integers as they are
    learner = Learner(objective, plan.ema_decay, keeps_best=is_validated).to(device)
    if plan.compile:
        _LOG.warning("compile=True: torch compiles the network in the first training steps, which can take minutes.")
        for part in getattr(objective, "compiled_parts", (objective.network,)):
            part.compile()  # type: ignore[union-attr]
    sampling = SAMPLINGS[plan.sampling] if order is None else order
    net = _net(learner, plan, seed, device, autocast_dtype(plan.precision, device, dtype), sampling, processes)
    if processes is not None:
        generator = processes.generator(generator, seed)
    data = Rows(clips, torch.from_numpy(rows)), None
    if is_validated:
        mixed = np.random.RandomState(seed).permutation(store.rows_of(held_out))  # so that batches mix the classes
        data = data[0], Rows(clips, torch.from_numpy(mixed))  # type: ignore[assignment]
    with reused_memory(), _drawing_from(generator, objective, plan.compile), interrupt_signals() as seen:
        net.initialize().partial_fit(data)
    net.is_interrupted |= (
        bool(seen) and int(net.module_.n_epochs) < net.max_epochs
    )  # between two epochs skorch says nothing
    _tell_of_interrupt(net)
    result = (learner.best or learner.result).to("cpu").requires_grad_(True).eval()
    return Training(result, _epochs(net), held_out, net.is_interrupted)


def _own_device(name: str, asked: torch.device, given: torch.device) -> torch.device:
    """Device that Accelerate gave this process; raise if another one was asked for."""
    index = None if name == "auto" else torch.device(name).index
    if asked.type != given.type or index not in (None, given.index):
        raise ValueError(
            f"device={name!r} is not the device of this process, {given}, which Accelerate has chosen; use device='auto', "
            "or 'cpu' in a program that has not trained on another device."
        )
    return given


def _refuse_unequal(processes: Processes, objective: nn.Module, rows: np.ndarray, label: np.ndarray, seed: int) -> None:
    """Raise if the processes do not train the same network on the same clips, or if the clips are too few for them."""
    n_weights = sum(parameter.numel() for parameter in objective.parameters())
    processes.check_equal(
        seeds=seed, numbers_of_clips=len(rows), labels=crc32(label.tobytes()), sizes_of_networks=n_weights
    )
    if processes.n > 1 and len(rows) < 2 * processes.n:
        raise ValueError(
            f"accelerate=True: {len(rows)} clips or patches are too few for {processes.n} processes, which need two "
            "each; start fewer processes, or give more clips."
        )


@contextmanager
def _drawing_from(generator: torch.Generator, objective: nn.Module, is_compiled: bool) -> Iterator[None]:
    """Lend a generator to the layers that draw from one, outside of compiled code."""
    layers = [layer for layer in objective.modules() if hasattr(layer, "generator")]
    for layer in layers:
        layer.generator = generator  # type: ignore[assignment]
        if is_compiled:
            layer.draw = torch.compiler.disable(layer.draw)
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None  # type: ignore[assignment]
            layer.__dict__.pop("draw", None)


def _net(
    learner: Learner,
    plan: TrainingPlan,
    seed: int,
    device: torch.device,
    autocast: torch.dtype | None,
    sampling: Order,
    processes: Processes | None,
) -> TrainingNet:
    own = [_schedule(plan)]
    if plan.batch_norm_warmup:
        own.append(CompiledNormWarmup() if plan.compile else NormWarmup())
    own += [WeightAveraging(), StopOnNaN()]
    if learner.best is not None:
        own.append(KeepBest(plan.patience))
    if plan.verbose >= 1 and (processes is None or processes.rank == 0):
        own.append(Progress())
    return TrainingNet(
        learner,
        seed=seed,
        sampling=sampling,
        autocast_dtype=autocast,
        processes=processes,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=plan.weight_decay,
        optimizer__fused=device.type in ("cpu", "cuda") or None,
        lr=plan.learning_rate,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        callbacks=[*own, *(plan.callbacks or ())],
        callbacks__print_log=None,
        device=str(device),
    )


def _schedule(plan: TrainingPlan) -> CosineSchedule | HalvingSchedule:
    rate = plan.learning_rate
    if plan.schedule == "cosine":
        lowest = rate / 10 if plan.min_learning_rate is None else plan.min_learning_rate
        return CosineSchedule(rate, lowest, plan.schedule_start)
    times = 0 if plan.schedule == "constant" else 3
    return HalvingSchedule(rate, "step" if plan.schedule == "halved_steps" else "epoch", times=times)


def _tell_of_interrupt(net: TrainingNet) -> None:
    if not net.is_interrupted:
        return
    n_epochs = int(net.module_.n_epochs)
    if n_epochs == 0:
        raise KeyboardInterrupt("The training was interrupted before the end of the first epoch; nothing was fitted.")
    if net.share[1] > 1:
        raise KeyboardInterrupt("The training of several processes was interrupted; nothing was fitted.")
    message = (
        f"The training was interrupted in epoch {n_epochs + 1} of {net.max_epochs}; the weights are those of the last "
        f"complete epoch, {n_epochs}."
    )
    note_interrupt(message)
    warnings.warn(message, stacklevel=9)  # the call of fit


def _epochs(net: TrainingNet) -> list[dict[str, Any]]:
    numbers = {"epoch": int, "train_loss": float, "valid_loss": float, "learning_rate": float, "dur": float}
    whole = list(net.history)[: int(net.module_.n_epochs)]
    return [{name: number(epoch[name]) for name, number in numbers.items() if name in epoch} for epoch in whole]
