"""TFgramTransformer: a time-frequency image of the waveform that a network has learnt."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from torch import nn

from skasd._device import torch_device
from skasd.base import normals_only
from skasd.clips import Clips
from skasd.features._base import ClipTransformer, into_container, stacked
from skasd.features._log_mel import LogMelTransformer
from skasd.features._osscl_training import run_osscl
from skasd.inputs._network_fit import NetworkFit, stacked_batches
from skasd.networks import folded
from skasd.objectives._osscl import OSSCLOptions
from skasd.training import ClipStore, evaluated

_CLIPS_PER_BATCH = 16


class TFgramTransformer(ClipTransformer):
    r"""TFgram of each clip: an image of the waveform, of the size of its log-mel, that a network has learnt.

    A convolutional network of the waveform, the third branch of OS-SCL [1]_, whose channels take the place of mel bands. It
    is trained as part of the whole: with the other branches, and by the same loss on the labels of the table.

    Parameters
    ----------
    detector : fitted OSSCLDetector or FrozenEstimator of one, or None, default=None
        Takes the image of a detector that has it already, in place of training one. Where the transformer is cloned, as by
        a grid search, give ``FrozenEstimator(detector)``, which stays fitted. The other parameters are then those of
        the detector.
    branches : sequence of str, default=("log_mel", "tgram", "tfgram")
        Images that the network is trained with, ``"tfgram"`` among them.
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that make the class of a clip; it may lack these two. None makes clusters.
    n_clusters : int or None, default=None
        Into how many clusters of like sound the clips of each machine and domain are split, each a class of its own. None
        makes clusters, 16 at most, only where the label columns give fewer than two classes.
    frontend : LogMelTransformer or None, default=None
        Says how many bands and frames the image has, how long clips are, and makes the log-mel of that branch; None takes
        that of [1]_: 128 Slaney bands, 2048 / 512 samples.
    max_epochs : int, default=300
        Passes over the training clips.
    batch_size : int, default=64
        Clips of a step.
    learning_rate : float, default=1e-4
        Of AdamW, at the beginning.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the training, as in :class:`skasd.detectors.OSSCLDetector`.
    memory_budget : float, default=8e9
        Bytes of training clips above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and mixing; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips and make log-mels; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    network_ : torch.nn.Module
        Waveforms to images, on the CPU.
    history_ : list of dict
        Epoch, mean loss, learning rate and seconds of each epoch, if it was trained here.
    n_features_in_ : int
        Time points of a clip, if fitted on a 2-D array.

    See Also
    --------
    LogMelTransformer : The image that is not learnt.
    skasd.detectors.OSSCLDetector : The detector that it is a part of.

    Notes
    -----
    Stem and blocks are those of the code of [1]_: a convolution of 11 samples with a stride of 5, then three pairs of
    convolutions of 3 with dilations 1 and 2, each pair followed by a pooling to a quarter, to twice the frames, and to the
    frames. All frames of a clip lie at their times; the order of the channels means nothing. Departure: the rest of the
    published class, about 79.8 million parameters without a gradient, is left out.

    References
    ----------
    .. [1] S. Huang, Z. Fang, L. He, "Noise supervised contrastive learning and feature-perturbed for anomalous sound
           detection", ICASSP 2025. arXiv:2509.13853. Code: github.com/huangswt/OS-SCL.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.features import TFgramTransformer
    >>> clips = make_machine_clips(("fan", "pump"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> transformer = TFgramTransformer(max_epochs=1, random_state=0).fit(clips.data[train])
    >>> transformer.transform(clips.data)["tfgram"].iloc[0].shape
    (128, 32)
    """

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
        fit = self._fit_of = NetworkFit.of(self, clips, self.branches)
        if "tfgram" not in fit.branches:
            raise ValueError(f"branches={self.branches!r} leave out 'tfgram', the image that is to be learnt; add it.")
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            _, training = run_osscl(fit, clips, store, OSSCLOptions())
        self.history_ = training.history
        self._keep(training.objective.network)

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
        self._fit_of = detector._fit_of
        self._keep(network)

    def _keep(self, network: Any) -> None:
        self.network_: nn.Module = network.branches["tfgram"]
        self._evaluator = folded(self.network_)

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
        inputs = replace(self._fit_of.inputs, names=("waveform",)).of(
            clips, n_jobs=self.n_jobs, verbose=self.verbose, title="tfgram"
        )
        batches = (batch["waveform"] for batch in stacked_batches(inputs, ("waveform",), _CLIPS_PER_BATCH))
        images = chain.from_iterable(evaluated(self._evaluator, batches, torch_device(self.device)))
        return into_container(stacked(images, len(clips)), clips, "tfgram")
