"""Warm-up of batch normalisation: running statistics are plain means over the first steps of a training.

With the usual momentum of 0.1, running statistics start at mean 0 and variance 1 and need dozens of steps to forget that; a
training on few clips has no more steps. With the warm-up the batch of step t, counted from 0, gets the weight 1 / (t + 1)
until that falls below the momentum of the layer.
"""

from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class NormWarmup(Callback):
    """Sets the momentum of all batch normalisation layers before each of the first steps."""

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Find the batch normalisation layers.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        X, y : object
            Ignored.
        **kwargs : dict
            Ignored.
        """
        self._usual = [(layer, layer.momentum) for layer in _layers(net)]

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the momentum for the batch.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        step = int(net.module_.n_steps)
        if training and self._usual and step <= 1 / min(momentum for _, momentum in self._usual):
            for layer, momentum in self._usual:
                layer.momentum = max(momentum, 1 / (step + 1))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the momentum of all layers.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        X, y : object
            Ignored.
        **kwargs : dict
            Ignored.
        """
        for layer, momentum in self._usual:
            layer.momentum = momentum


class CompiledNormWarmup(Callback):
    """The same for compiled networks, whose momentum is part of the code: it enlarges what each of the first steps changed.

    With the momentum :math:`m`, the weight :math:`w` of the warm-up and a layer that runs once in the step, running
    statistics that went from :math:`r` to :math:`r'` become :math:`r + (r' - r) w / m`.
    """

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Find the batch normalisation layers.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        X, y : object
            Ignored.
        **kwargs : dict
            Ignored.
        """
        self._usual = [layer for layer in _layers(net) if layer.num_batches_tracked is not None]

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Remember the running statistics.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        self._weight = 1 / (int(net.module_.n_steps) + 1)
        changed = [layer for layer in self._usual if training and self._weight > layer.momentum]
        self._before = [(layer, [value.clone() for value in _statistics(layer)]) for layer in changed]

    @torch.no_grad()
    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Enlarge the change of the running statistics.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        for layer, before in self._before if training else ():
            n_runs = int(layer.num_batches_tracked - before[-1])  # a layer may run several times in a step
            if n_runs:
                share = (1 - (1 - self._weight) ** n_runs) / (1 - (1 - layer.momentum) ** n_runs)
                for value, old in zip(_statistics(layer)[:-1], before[:-1], strict=True):
                    value.copy_(torch.lerp(old, value, share))


def _layers(net: Any) -> list[Any]:
    modules = net.module_.student.modules()
    return [module for module in modules if isinstance(module, _BatchNorm) and module.momentum is not None]


def _statistics(layer: Any) -> list[Tensor]:
    return [layer.running_mean, layer.running_var, layer.num_batches_tracked]
