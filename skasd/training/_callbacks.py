"""skorch callbacks for schedules, weight averaging, early stopping and progress."""

import math
from typing import Any

from skorch.callbacks import Callback
from tqdm import tqdm

from skasd.training._batches import Batches


class StopTraining(KeyboardInterrupt):
    """Signal that ends a training after a completed epoch.

    skorch's own callbacks stop a training with the parent class.
    """


class CosineSchedule(Callback):
    r"""Cosine learning rate schedule, updated once per epoch :math:`e`.

    .. math:: \eta_e = \eta_{\min} + (\eta - \eta_{\min}) \frac{1 + \cos(\pi \max(e - e_0, 0) / E)}{2}

    Parameters
    ----------
    learning_rate, min_learning_rate : float
        Initial and final learning rate, :math:`\eta` and :math:`\eta_{\min}`.
    start : int, default=0
        Number of epochs before the learning rate begins to decrease, :math:`e_0`.
    """

    def __init__(self, learning_rate: float, min_learning_rate: float, start: int = 0) -> None:
        self.learning_rate, self.min_learning_rate, self.start = learning_rate, min_learning_rate, start

    def rate(self, epoch: int, max_epochs: int) -> float:
        """Learning rate of an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, counted from 0.
        max_epochs : int
            Number of epochs :math:`E` of the training.

        Returns
        -------
        rate : float
            Learning rate.
        """
        fall = (1 + math.cos(math.pi * max(epoch - self.start, 0) / max_epochs)) / 2
        return self.min_learning_rate + (self.learning_rate - self.min_learning_rate) * fall

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the learning rate of the epoch.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        **kwargs : dict
            Ignored.
        """
        rate = self.rate(len(net.history) - 1, net.max_epochs)
        net.history.record("learning_rate", rate)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate


class HalvingSchedule(Callback):
    """Step learning rate schedule that halves the rate at regular intervals.

    Parameters
    ----------
    learning_rate : float
        Initial learning rate.
    per : {"epoch", "step"}
        Unit of the interval.
    every : int, default=30
        Epochs or steps between halvings.
    times : int, default=3
        Number of halvings, after which the rate stays constant.
    """

    def __init__(self, learning_rate: float, per: str, every: int = 30, times: int = 3) -> None:
        self.learning_rate, self.per, self.every, self.times = learning_rate, per, every, times

    def rate(self, count: int) -> float:
        """Learning rate after a number of epochs or steps.

        Parameters
        ----------
        count : int
            Completed epochs or steps.

        Returns
        -------
        rate : float
            Learning rate.
        """
        return self.learning_rate * 0.5 ** min(count // self.every, self.times)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the learning rate of the epoch or of its first step.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        **kwargs : dict
            Ignored.
        """
        is_per_epoch = self.per == "epoch"
        net.history.record("learning_rate", self._set(net, len(net.history) - 1 if is_per_epoch else _n_steps(net)))

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Set the learning rate of the step.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        if training and self.per == "step":
            self._set(net, _n_steps(net))

    def _set(self, net: Any, count: int) -> float:
        rate = self.rate(count)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate
        return rate


def _n_steps(net: Any) -> int:
    return int(net.module_.n_steps)


class WeightAveraging(Callback):
    """Updates the exponential moving average (EMA) of the weights after each step."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Update the average with the weights of the step.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        if training:
            net.module_.update_average()


class StopOnNaN(Callback):
    """Stops with an error if the loss is NaN or infinite."""

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Check the loss of the step.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        loss = net.history[-1, "batches", -1]["train_loss" if training else "valid_loss"]
        if not math.isfinite(loss):
            rate = net.optimizer_.param_groups[0]["lr"]
            raise ValueError(
                f"The loss became {loss} in epoch {len(net.history)} at a learning rate of {rate:.3g}; use a smaller "
                "learning_rate, or precision='float32'."
            )


class KeepBest(Callback):
    """Keeps the result of the epoch with the lowest validation loss, and stops early.

    Parameters
    ----------
    patience : int or None
        Number of epochs without a lower validation loss before early stopping; None never stops early.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the validation loss with that of all earlier epochs.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        **kwargs : dict
            Ignored.
        """
        losses = net.history[:, "valid_loss"]
        best = losses.index(min(losses))
        if best == len(losses) - 1:
            net.module_.keep_as_best()
        elif self.patience is not None and len(losses) - 1 - best >= self.patience:
            raise StopTraining


class Progress(Callback):
    """Progress bar over all steps of the training, showing the losses of the last completed epoch."""

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Reset the bar; it is shown later because loading a checkpoint decides where it starts.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        *args : tuple
            Ignored.
        **kwargs : dict
            Ignored.
        """
        self.bar_: Any = None

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Show the bar.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        dataset_train : Rows
            Training clips.
        **kwargs : dict
            Ignored.
        """
        if self.bar_ is None:
            n_steps = len(Batches(dataset_train, net.batch_size, share=net.share)) * net.max_epochs
            self.bar_ = tqdm(desc="training", total=n_steps, initial=int(net.module_.n_steps), unit="step")

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Advance the bar.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        training : bool, default=False
            Whether the batch is a training batch.
        **kwargs : dict
            Ignored.
        """
        if training:
            self.bar_.update()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Show the losses of the epoch.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        **kwargs : dict
            Ignored.
        """
        last = net.history[-1]
        losses = {name: f"{last[name]:.3g}" for name in ("train_loss", "valid_loss") if name in last}
        self.bar_.set_postfix({"epoch": last["epoch"], **losses})

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Close the bar.

        Parameters
        ----------
        net : TrainingNet
            Network in training.
        *args : tuple
            Ignored.
        **kwargs : dict
            Ignored.
        """
        if self.bar_ is not None:
            self.bar_.close()
