"""What happens beside the steps of a training, as skorch callbacks."""

import math
from typing import Any

from skorch.callbacks import Callback
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from skasd.training._data import Batches


class StopTraining(KeyboardInterrupt):
    """Ends a training after a whole epoch.

    skorch's own callbacks stop a training with the class that this derives from; `args` and `kwargs` are those of any error.
    """


class CosineSchedule(Callback):
    r"""Learning rate of each epoch :math:`e`: half a cosine from :math:`\eta` to :math:`\eta_{\min}`.

    .. math:: \eta_e = \eta_{\min} + (\eta - \eta_{\min}) \frac{1 + \cos(\pi \max(e - e_0, 0) / E)}{2}

    Parameters
    ----------
    learning_rate, min_learning_rate : float
        :math:`\eta` and :math:`\eta_{\min}`.
    start : int, default=0
        :math:`e_0`: epochs before the rate begins to fall.
    """

    def __init__(self, learning_rate: float, min_learning_rate: float, start: int = 0) -> None:
        self.learning_rate, self.min_learning_rate, self.start = learning_rate, min_learning_rate, start

    def rate(self, epoch: int, max_epochs: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        fall = (1 + math.cos(math.pi * max(epoch - self.start, 0) / max_epochs)) / 2
        return self.min_learning_rate + (self.learning_rate - self.min_learning_rate) * fall

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the rate of the epoch that begins."""
        rate = self.rate(len(net.history) - 1, net.max_epochs)
        net.history.record("learning_rate", rate)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate


class HalvingSchedule(Callback):
    """Learning rate that is halved now and then.

    Parameters
    ----------
    learning_rate : float
        At the beginning.
    per : {"epoch", "step"}
        What is counted.
    every : int, default=30
        Of them, after which the rate is halved.
    times : int, default=3
        How often.
    """

    def __init__(self, learning_rate: float, per: str, every: int = 30, times: int = 3) -> None:
        self.learning_rate, self.per, self.every, self.times = learning_rate, per, every, times

    def rate(self, count: int) -> float:
        """Learning rate after so many epochs or steps."""
        return self.learning_rate * 0.5 ** min(count // self.every, self.times)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the rate of the epoch that begins, or of its first step."""
        is_per_epoch = self.per == "epoch"
        net.history.record("learning_rate", self._set(net, len(net.history) - 1 if is_per_epoch else _n_steps(net)))

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the rate of the step that begins."""
        if training and self.per == "step":
            self._set(net, _n_steps(net))

    def _set(self, net: Any, count: int) -> float:
        rate = self.rate(count)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate
        return rate


def _n_steps(net: Any) -> int:
    return int(net.module_.n_steps)


class NormWarmUp(Callback):
    """Running statistics of batch normalisation that are plain means over the first steps.

    A running mean that gives each new batch a tenth begins at 0 and 1 and needs dozens of steps to forget it; trainings of
    few clips have no more. Here the batch of step t, counted from 0, gets the share 1 / (t + 1) until that is below the
    usual one.
    """

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Look for the layers."""
        layers = [module for module in net.module_.student.modules() if isinstance(module, _BatchNorm)]
        self._usual = [(layer, layer.momentum) for layer in layers if layer.momentum is not None]

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the share of the batch that comes."""
        step = _n_steps(net)
        if training and self._usual and step <= 1 / min(momentum for _, momentum in self._usual):
            for layer, momentum in self._usual:
                layer.momentum = max(momentum, 1 / (step + 1))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Set all shares as they were."""
        for layer, momentum in self._usual:
            layer.momentum = momentum


class WeightAveraging(Callback):
    """Moves the average of the weights after each step."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Take in the weights of the step."""
        if training:
            net.module_.update_average()


class StopOnNaN(Callback):
    """Refuses to go on with a loss that is not a number."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Look at the loss of the step."""
        loss = net.history[-1, "batches", -1]["train_loss" if training else "valid_loss"]
        if not math.isfinite(loss):
            rate = net.optimizer_.param_groups[0]["lr"]
            raise ValueError(
                f"The loss became {loss} in epoch {len(net.history)} at a learning rate of {rate:.3g}; give a smaller "
                "learning_rate, or precision='float32'."
            )


class KeepBest(Callback):
    """Keeps the result of the epoch with the lowest loss on held-out clips.

    Parameters
    ----------
    patience : int or None
        Epochs without a lower loss after which the training stops; None never stops it.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the epoch that ends with those before it, which the history holds."""
        losses = net.history[:, "valid_loss"]
        best = losses.index(min(losses))
        if best == len(losses) - 1:
            net.module_.keep_as_best()
        elif self.patience is not None and len(losses) - 1 - best >= self.patience:
            raise StopTraining


class Progress(Callback):
    """A progress bar over the steps of all epochs, with the losses of the last whole one."""

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Show nothing yet: a checkpoint may be loaded, and tell where the bar starts."""
        self.bar_: Any = None

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Show the bar."""
        if self.bar_ is None:
            n_steps = len(Batches(dataset_train, net.batch_size)) * net.max_epochs
            self.bar_ = tqdm(desc="training", total=n_steps, initial=int(net.module_.n_steps), unit="step")

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Move the bar."""
        if training:
            self.bar_.update()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Tell the losses."""
        last = net.history[-1]
        losses = {name: f"{last[name]:.3g}" for name in ("train_loss", "valid_loss") if name in last}
        self.bar_.set_postfix({"epoch": last["epoch"], **losses})

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self.bar_ is not None:
            self.bar_.close()
