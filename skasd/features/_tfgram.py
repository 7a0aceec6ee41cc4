"""TFgramTransformer: a time-frequency image of the waveform that a network has learnt."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from skasd._device import torch_device
from skasd._osscl import OSSCLOptions
from skasd.base import normals_only
from skasd.clips import Clips
from skasd.features._base import ClipTransformer, into_container, stacked
from skasd.features._log_mel import LogMelTransformer
from skasd.features._osscl_training import OSSCLFit, stacked_batches
from skasd.training import ClipStore, reused_memory

_CLIPS_PER_BATCH = 16


class TFgramTransformer(ClipTransformer):
    """TFgram of each clip: an image of the waveform, of the size of its log-mel, that is learnt [1]_."""

    def __init__(
        self,
        detector: Any = None,
        *,
        branches: Sequence[str] = ("log_mel", "tgram", "tfgram"),
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        n_clusters: int | None = None,
        frontend: LogMelTransformer | None = None,
        max_epochs: int = 300,
        batch_size: int = 64,
        learning_rate: float = 1e-4,
        precision: str = "auto",
        memory_budget: float = 8e9,
        device: str = "auto",
        callbacks: Any = None,
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.detector = detector
        self.branches = branches
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.frontend = frontend
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.precision = precision
        self.memory_budget = memory_budget
        self.device = device
        self.callbacks = callbacks
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the image from normal clips, or take that of the `detector`.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, which are left out. None takes all clips as normal.

        Returns
        -------
        self : object
        """
        clips = normals_only(self._check_clips(X, reset=True), y)
        if self.detector is None:
            self._learn(clips)
        else:
            self._take_from(self.detector)
        return self

    def _learn(self, clips: Clips) -> None:
        fit = self._fit_of = OSSCLFit.of(self, clips, OSSCLOptions())
        if "tfgram" not in fit.branches:
            raise ValueError(f"branches={self.branches!r} leave out 'tfgram', the image that is to be learnt; add it.")
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            _, training = fit.run(clips, store)
        self.history_ = training.history
        self.network_ = _tfgram_of(training.objective.network)

    def _take_from(self, detector: Any) -> None:
        if isinstance(detector, FrozenEstimator):
            detector = detector.estimator
        network = getattr(detector, "network_", None)
        if network is None:
            raise ValueError(
                f"detector={detector!r} is not fitted. Fit it first; where the transformer is cloned, as in a grid search, "
                "give FrozenEstimator(detector), which keeps it fitted."
            )
        if "tfgram" not in detector.branches_:
            raise ValueError(f"The detector was fitted with the branches {detector.branches_}, without 'tfgram'.")
        self._fit_of, self.network_ = detector._fit_of, _tfgram_of(network)

    def transform(self, X: Any) -> np.ndarray | pd.DataFrame:
        """Images of the clips.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips; cut, or filled up as the front end says, to the length of those that it learnt from.

        Returns
        -------
        tfgram : ndarray of shape (n_clips, n_channels, n_frames), or DataFrame
            At least 0, without unit. Given a table, the table with a column `tfgram` added.

        Raises
        ------
        ValueError
            Clips that cannot be read, all of them listed.
        """
        clips = self._check_clips(X, reset=False)
        device = torch_device(self.device)
        inputs = replace(self._fit_of.inputs, names=("waveform",)).of(
            clips, n_jobs=self.n_jobs, verbose=self.verbose, title="tfgram"
        )
        dtype = next(self.network_.parameters()).dtype
        images = []
        network = self.network_.to(device)
        try:
            with torch.inference_mode(), reused_memory():
                for batch in stacked_batches(inputs, ("waveform",), _CLIPS_PER_BATCH):
                    images.extend(network(torch.from_numpy(batch["waveform"]).to(device, dtype)).cpu().numpy())
        finally:
            self.network_.to("cpu")
        return into_container(stacked(images, len(clips)), clips, "tfgram")


def _tfgram_of(network: Any) -> nn.Module:
    return network.branches["tfgram"]
