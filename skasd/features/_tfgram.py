"""TFgramTransformer: a learnt time-frequency image of the waveform."""

from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from torch import nn

from skasd._atomic import restored_on_failure
from skasd._device import check_device, torch_device
from skasd._parameters import check_integer, check_n_jobs
from skasd._random import random_seed
from skasd._threshold import threshold_unused
from skasd.base import normals_only
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.clips._usable import UsablePart, skips
from skasd.features._base import ClipTransformer, into_container, stacked
from skasd.features._frontend import frontend_of, osscl_frontend
from skasd.inputs._network_fit import NetworkFit, stacked_batches
from skasd.networks import folded
from skasd.objectives._osscl import OSSCLOptions, train_osscl
from skasd.training import ClipStore, TrainingPlan, evaluated

_CLIPS_PER_BATCH = 16
_BRANCHES = ("log_mel", "tgram", "tfgram")


class TFgramTransformer(ClipTransformer):
    r"""TFgram of each clip: a learnt image of the waveform that has the size of its log-mel.

    A convolutional network on the waveform, the third branch of OS-SCL [1]_, computes the image; its channels take the place
    of mel bands. It is trained together with the other branches, by the loss of OS-SCL on the labels of the table.

    Parameters
    ----------
    detector : OSSCLDetector, FrozenEstimator of one, or None, default=None
        Detector that learns the image, with ``"tfgram"`` among its branches. The network of a fitted detector is used as it
        is; of an unfitted one, a clone is fitted. Cloning the transformer, as a grid search does, resets a fitted detector;
        ``FrozenEstimator(detector)`` keeps it fitted. None trains one as published, for 300 epochs.
    device : str, default="auto"
        Device that computes the images, and trains the network if `detector` is None: ``"cpu"``, a torch device such as
        ``"cuda"``, or ``"auto"`` for an accelerator (GPU) if there is one.
    n_jobs : int or None, default=-1
        Number of threads that read clips; -1 uses all cores.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Attributes
    ----------
    network_ : torch.nn.Module
        Network from waveforms to images, on the CPU.
    history_ : list of dict
        Number, mean loss, learning rate and duration in seconds of each epoch of the detector.
    n_features_in_ : int
        Number of time points of a clip, if fitted on a 2-D array.

    See Also
    --------
    LogMelTransformer : Computes an image without learning.
    skasd.detectors.OSSCLDetector : The detector that contains this network.

    Notes
    -----
    Stem and blocks are those of the code of [1]_: a convolution of 11 samples with a stride of 5, then three pairs of
    convolutions of 3 with dilations 1 and 2. The pairs are followed by pooling to a quarter of the length, to twice the
    number of frames, and to the number of frames. The frames of the image correspond to those of the log-mel; the order of
    the channels has no meaning. Departure: the rest of the published class, about 79.8 million parameters that never receive
    a gradient, is left out.

    References
    ----------
    .. [1] S. Huang, Z. Fang, L. He, "Noise supervised contrastive learning and feature-perturbed for anomalous sound
           detection", ICASSP 2025. arXiv:2509.13853. Code: github.com/huangswt/OS-SCL.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import OSSCLDetector
    >>> from skasd.features import TFgramTransformer
    >>> clips = make_machine_clips(("fan", "pump"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> transformer = TFgramTransformer(OSSCLDetector(max_epochs=1, random_state=0)).fit(clips.data[train])
    >>> transformer.transform(clips.data)["tfgram"].iloc[0].shape
    (128, 32)
    """

    def __init__(
        self, detector: Any = None, *, device: str = "auto", n_jobs: int | None = -1, verbose: int = 0
    ) -> None:
        self.detector = detector
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, on_error: str = "raise") -> Self:
        """Train the network on normal clips, or take it from `detector` if that is fitted.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, which are left out. None treats all clips as normal.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error, or a warning that lists them, after
            which the rest is learnt from. See :ref:`clips_skip`.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        check_device(self.device)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=True)
            return self.fit(usable.X, usable.labels(y))
        with restored_on_failure(self):
            clips = normals_only(self._check_clips(X, reset=True), y)
            detector = self._checked_detector()
            if detector is None:
                self._learn(clips)
            elif hasattr(detector, "network_"):
                self._take_from(detector)
            else:
                with threshold_unused():
                    self._take_from(clone(detector).set_params(score_with="embedding").fit(X, y))
        return self

    def _checked_detector(self) -> Any:
        """The detector given, recognised by its parameters, as this module cannot import detectors."""
        detector = self.detector.estimator if isinstance(self.detector, FrozenEstimator) else self.detector
        if detector is None:
            return None
        if isinstance(detector, type) or not hasattr(detector, "mixup_alpha") or not hasattr(detector, "branches"):
            what = f"the class {detector.__name__}" if isinstance(detector, type) else f"a {type(detector).__name__}"
            raise TypeError(f"detector={detector!r} is {what}; an OSSCLDetector, fitted or not, or None is expected.")
        is_fitted = hasattr(detector, "network_")
        if isinstance(self.detector, FrozenEstimator) and not is_fitted:
            raise ValueError(f"detector={self.detector!r} is frozen and not fitted; fit it first.")
        branches = detector.branches_ if is_fitted else detector.branches
        if "tfgram" not in branches:
            raise ValueError(
                f"detector={detector!r} has the branches {tuple(branches)}, which lack 'tfgram'; "
                "give an OSSCLDetector with it."
            )
        return detector

    def _learn(self, clips: Clips) -> None:
        """Train OS-SCL with its default parameters."""
        plan, seed = TrainingPlan(device=self.device, verbose=self.verbose), random_seed(None)
        fit = NetworkFit.learn(
            clips,
            _BRANCHES,
            frontend_of(None, osscl_frontend()),
            precision=plan.precision,
            label_columns=MACHINE_COLUMNS,
        )
        with closing(ClipStore(len(clips), plan.memory_budget)) as store:
            classes = fit.classes(clips, store, n_clusters=None, seed=seed, n_jobs=self.n_jobs, verbose=self.verbose)
            training = train_osscl(
                store,
                classes.label,
                branches=fit.branches,
                size=fit.inputs.size,
                hop_length=fit.inputs.hop_length,
                dtype=fit.inputs.dtype,
                options=OSSCLOptions(),
                plan=plan,
                seed=seed,
            )
        self._keep(training.objective.network, fit, training.history, interrupted=training.interrupted)

    def _take_from(self, detector: Any) -> None:
        self._keep(detector.network_, detector._network_fit, detector.history_, interrupted=detector.interrupted_)

    def _keep(self, network: Any, fit: NetworkFit, history: list[dict[str, Any]], *, interrupted: bool) -> None:
        self.network_: nn.Module = network.branches["tfgram"]
        self._inputs = replace(fit.inputs, names=("waveform",))
        self._evaluator = folded(self.network_)
        self.history_, self.interrupted_ = history, interrupted

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Compute the images of the clips.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips. They are cut or filled to the length that the network was trained on, as the front end says.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning. With
            "skip", their feature cell in a clip table is None, and the new column ``error`` has the reason; their values in
            an array are NaN. See :ref:`clips_skip`.

        Returns
        -------
        tfgram : ndarray of shape (n_clips, n_channels, n_frames), or DataFrame
            Images with dimensionless values of at least 0; for a clip table, the table with a new column `tfgram`.

        Raises
        ------
        ValueError
            If clips cannot be read; the message lists all of them.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        inputs = self._inputs.of(clips, n_jobs=self.n_jobs, verbose=self.verbose, title="tfgram")
        batches = (batch["waveform"] for batch in stacked_batches(inputs, ("waveform",), _CLIPS_PER_BATCH))
        images = chain.from_iterable(evaluated(self._evaluator, batches, torch_device(self.device)))
        return into_container(stacked(images, len(clips)), clips, "tfgram")
