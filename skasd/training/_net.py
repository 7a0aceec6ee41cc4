"""Training loop: a skorch net whose module computes its own loss."""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor, nn

from skasd.training._batches import Batches, Order, Rows
from skasd.training._data import Batch
from skasd.training._precision import autocast
from skasd.training._processes import Processes

_ORDER, _OBJECTIVE = 0, 1  # streams of random numbers


class TrainingNet(NeuralNet):
    """Trains a :class:`Learner`; all randomness is determined by the seed and the number of the epoch.

    A training resumed from a checkpoint, with skorch's ``Checkpoint`` and ``LoadInitState``, therefore gives the same
    weights as an uninterrupted one.

    Parameters
    ----------
    module : Learner
        Module to train. Its objective maps (inputs, label, generator) to the loss in training.
    seed : int
        Seed of the order of clips and of the objective.
    sampling : callable
        Function of a :class:`Rows` and a generator that draws the rows of an epoch.
    autocast_dtype : torch.dtype or None
        Floating point type of convolutions; None uses that of the network.
    processes : Processes or None
        The processes that train together; None if this one trains alone.
    **settings : dict
        Further parameters of skorch's net.
    """

    def __init__(
        self,
        module: Any,
        *,
        seed: int,
        sampling: Order,
        autocast_dtype: torch.dtype | None,
        processes: Processes | None = None,
        **settings: Any,
    ) -> None:
        self.seed, self.sampling, self.autocast_dtype, self.processes = seed, sampling, autocast_dtype, processes
        super().__init__(module, criterion=nn.Identity, train_split=None, verbose=0, **settings)

    def fit_loop(self, X: tuple[Rows, Rows | None], y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Run the remaining epochs up to `max_epochs`; an interrupt restores the state of the last completed epoch.

        Parameters
        ----------
        X : tuple of Rows and Rows or None
            Training and validation set.
        y : object
            Ignored.
        epochs : int or None, default=None
            Ignored.
        **fit_params : dict
            Ignored.

        Returns
        -------
        self : TrainingNet
            The net itself.
        """
        self._refuse_torn_checkpoint()
        self.is_interrupted = False
        kept = self._state()
        train, valid = X
        batches = Batches(train, self.batch_size, self._order, self.share)
        while len(self.history) < self.max_epochs:
            try:
                self._run_epoch(batches, valid)
            except KeyboardInterrupt:
                self.is_interrupted = True
                self.module_.load_state_dict(kept)
                raise
            self.notify("on_epoch_end", dataset_train=train, dataset_valid=valid)
            kept = self._state()
        return self

    @property
    def share(self) -> tuple[int, int]:
        """Number of this process and number of processes that train together."""
        return (0, 1) if self.processes is None else (self.processes.rank, self.processes.n)

    def _run_epoch(self, batches: Batches, valid: Rows | None) -> None:
        self.notify("on_epoch_begin", dataset_train=batches.data, dataset_valid=valid)
        self.generator = self._generator(_OBJECTIVE)
        if self.processes is not None:
            self.generator = self.processes.generator(self.generator, self.generator.initial_seed())
        self.run_single_epoch(batches, training=True, prefix="train", step_fn=self.train_step)
        if valid is not None:
            held_out = Batches(valid, self.batch_size)
            self.run_single_epoch(held_out, training=False, prefix="valid", step_fn=self.validation_step)
        self.module_.n_epochs += 1

    def _state(self) -> dict[str, Tensor]:
        return deepcopy(self.module_.state_dict())

    def _order(self, data: Rows) -> Tensor:
        return self.sampling(data, self._generator(_ORDER))

    def _generator(self, stream: int) -> torch.Generator:
        """Generator of this epoch, on the CPU, so that every device gets the same numbers."""
        words = np.random.SeedSequence([self.seed, len(self.history), stream]).generate_state(2)
        return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def _refuse_torn_checkpoint(self) -> None:
        n_epochs = int(self.module_.n_epochs)
        if n_epochs != len(self.history):
            raise ValueError(
                f"The checkpoint holds the weights of epoch {n_epochs} and a history of {len(self.history)} epochs: writing "
                "it was interrupted, or it was not saved every epoch (monitor=None). Train from scratch or from another one."
            )

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a batch and its gradients.

        Parameters
        ----------
        batch : tuple
            Inputs and labels.
        **fit_params : dict
            Ignored.

        Returns
        -------
        step : dict
            Loss, and no predictions.
        """
        self._set_training(True)
        inputs, label = batch
        with autocast(torch.device(self.device), self.autocast_dtype):
            loss = self.module_.student(inputs, label, self.generator)
        loss.backward()
        mean = loss.detach()
        if self.processes is not None:
            mean = self.processes.share(self.module_, mean, len(label))
        return {"loss": mean, "y_pred": None}

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Compute the validation loss of a batch, with the weights that would be returned.

        Parameters
        ----------
        batch : tuple
            Inputs and labels.
        **fit_params : dict
            Ignored.

        Returns
        -------
        step : dict
            Loss, and no predictions.
        """
        self._set_training(False)
        inputs, label = batch
        with torch.no_grad(), autocast(torch.device(self.device), self.autocast_dtype):
            loss = self.module_.result.validation_loss(inputs, label)
        return {"loss": loss if self.processes is None else self.processes.of_first(loss), "y_pred": None}
