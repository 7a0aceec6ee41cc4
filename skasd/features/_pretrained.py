"""PretrainedEmbedding: embeddings of clips by an encoder that was trained elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skasd._device import check_device, torch_device
from skasd._parameter_group import refuse_idle
from skasd._parameters import check_flag, check_integer, check_n_jobs, check_number, check_option, check_path
from skasd.clips import ClipReader, Clips
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, equal_shapes, into_container, stacked
from skasd.features._embedder import Cutter, Embedder
from skasd.features._embedding_cache import EmbeddingCache
from skasd.features._encoder_layers import LAST, TIME_AXES, Layers, layer_names
from skasd.features._encoders import encoder_of
from skasd.features._fingerprint import fingerprint
from skasd.features._frontend import frontend_of, osscl_frontend
from skasd.features._time_pooling import TimePooling
from skasd.inputs._frontend import Frontend

_LONGEST = 86_400.0  # seconds of a window


class PretrainedEmbedding(ClipTransformer):
    r"""Embeddings of clips by an encoder that was trained elsewhere.

    The encoder is yours: nothing is shipped, downloaded or trained. Its embeddings and a nearest-neighbour back end make a
    detector without any training, as in [1]_.

    Parameters
    ----------
    encoder : torch.nn.Module, callable, path or str
        From waveforms, a float32 tensor of shape (n_windows, n_timepoints), to embeddings. One of

        - a torch module, which is copied and put into evaluation mode, or another callable;
        - a file ``.pt2`` of ``torch.export.save``, or ``.onnx``, for which ``skasd[onnx]`` is needed;
        - a folder of a model of the transformers library, with ``config.json``, ``model.safetensors`` and, if there is one,
          its feature extractor; it needs ``skasd[transformers]``. No code of the model's author is run;
        - the name of such a model on the hub of Hugging Face, with `trust_hub`.

        Files ``.pt`` and ``.pth`` are refused, because loading them can run code.
    sample_rate : int, default=16000
        Sample rate that the encoder was trained on, in Hz. Files with another one are resampled.
    layers : str, int, or sequence of str and int, default="last"
        Which outputs are used; those of several layers are concatenated. ``"last"`` is the output of the encoder: its only
        one, the last of a sequence, or ``last_hidden_state``. An integer is the number of a hidden state of a transformers
        model (0 is the input of the first layer) or of an output in a sequence or dict. A name is that of a submodule of a
        torch module, such as ``"blocks.3"``, or of an output in a dict or ONNX file.
    time_pooling : {"mean", "max", "power", "rank"} or None, default="mean"
        How the frames of a clip, those of all its windows, are pooled. None keeps the frames, for detectors that pool over
        time themselves; it needs ``flatten=False``.
    power : float or None, default=None
        Exponent of ``time_pooling="power"``, the generalised mean, above 0, dimensionless; None is 3.
    r : float or None, default=None
        Decay of the weights of ``time_pooling="rank"``, in [0, 1], dimensionless: 1 is the mean and 0 the maximum; see
        :class:`TWFRTransformer`. None is 0.9.
    time_axis : {1, 2, -1}, default=1
        Axis of time in the outputs of the encoder. The default is that of transformers, (n_windows, n_frames, n_values);
        convolutions have time last, (n_windows, n_channels, n_frames). With 2 or -1, outputs may have four axes, such as
        (n_windows, n_channels, n_bands, n_frames).
    frontend : LogMelTransformer, torch.nn.Module, callable or None, default=None
        Front end for an encoder of spectrograms, which then gets tensors of shape (n_windows, n_mels, n_frames), see
        :ref:`features_frontend`. None gives it waveforms.
    window : float or None, default=None
        Length of the windows that long clips are cut into and short clips are filled up to, in seconds. None gives clips to
        the encoder whole.
    hop : float or None, default=None
        Time from the start of one window to the next, in seconds, at most `window`; None is `window`. The last window ends
        with the clip.
    channel : int, {"mean", "residual"} or Residual, default=0
        Channel to use, counted from 0. ``"mean"`` averages all channels, and ``"residual"`` is the near one of two
        microphones without what the far one hears too, see :class:`skasd.clips.Residual`.
    duration : float or None, default=None
        Length in seconds that clips are cut or filled up to before anything else. None leaves the length unchanged.
    short_clips : {"zero", "tile"}, default="zero"
        How clips shorter than `window` or `duration` are filled up: with zeros, or by repeating the clip.
    resample : bool, default=True
        Whether files with another sample rate are resampled (True) or raise an error (False).
    trust_hub : bool, default=False
        Whether `encoder` may be the name of a model on the hub of Hugging Face, which is then downloaded.
    cache : path or None, default=None
        Folder that keeps the embeddings, one file for each clip, so that they are computed once. None keeps nothing.
    flatten : bool, default=True
        Whether a clip table is transformed to an array (True) or gets a new column `embedding` (False).
    batch_size : int, default=16
        Number of windows that are encoded at a time. Only windows of equal length share a batch.
    device : str, default="auto"
        Torch device for the encoder. ``"auto"`` uses an accelerator if there is one.
    n_jobs : int or None, default=-1
        Number of threads that read clips; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Attributes
    ----------
    embedding_dim_ : int
        Number of values of an embedding.
    n_features_in_ : int
        Number of time points of a 2-D array.

    See Also
    --------
    skasd.scoring.KNNScorer : Compares embeddings with those of normal clips, by domain.
    skasd.scoring.LocalDensityScorer : The same, relative to the density of normal clips [2]_.
    StatisticsTransformer : Embeddings that need no encoder.

    Notes
    -----
    The frames of all windows of a clip are pooled as one sequence; an encoder that returns one vector has one frame for each
    window. With :math:`x_t` one value of the :math:`T` frames, ``"power"`` with exponent :math:`p` is

    .. math:: m = \frac{1}{T} \sum_t \operatorname{sign}(x_t)\, |x_t|^p, \qquad v = \operatorname{sign}(m)\, |m|^{1/p},

    which is the generalised mean where no value is negative, the mean for :math:`p = 1`, and close to the value of largest
    magnitude for a large :math:`p`.

    An embedding does not depend on the other clips of X, on their order or on `batch_size`, except by rounding: in float32
    about 1e-6 of the largest value. ``fit`` encodes noise to find the number of values, and refuses encoders that mix the
    clips of a batch or give other values when they are called again.

    A file of `cache` is found by a digest of the waveform, of the encoder (its weights, settings and code, or its file), and
    of every parameter that changes embeddings. Functions that a module calls outside of its class are not seen. A callable
    that is no module, or a part of a module whose content cannot be seen, needs an attribute ``fingerprint``: a text that
    you change whenever its output changes. Files are written under another name and then renamed, so that several processes
    can share a folder; a damaged file is computed anew, with a warning.

    References
    ----------
    .. [1] P. Saengthong, T. Shinozaki, "Deep generic representations for domain-generalized anomalous sound detection",
           2024. arXiv:2409.05035.
    .. [2] K. Wilkinghoff et al., "Local density-based anomaly score normalization for domain generalization", 2025.
           arXiv:2509.10951.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skasd.features import PretrainedEmbedding
    >>> def levels(waveforms):
    ...     '''Root mean square and peak of frames of 400 samples.'''
    ...     frames = waveforms.unfold(1, 400, 400)
    ...     return torch.stack([frames.square().mean(2).sqrt(), frames.abs().amax(2)], dim=2)
    >>> clip = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    >>> PretrainedEmbedding(levels, device="cpu").fit_transform(clip[None]).round(4)
    array([[0.3536, 0.5   ]], dtype=float32)
    """

    def __init__(
        self,
        encoder: Any,
        *,
        sample_rate: int = 16000,
        layers: str | int | Sequence[str | int] = "last",
        time_pooling: str | None = "mean",
        power: float | None = None,
        r: float | None = None,
        time_axis: int = 1,
        frontend: Any = None,
        window: float | None = None,
        hop: float | None = None,
        channel: Any = 0,
        duration: float | None = None,
        short_clips: str = "zero",
        resample: bool = True,
        trust_hub: bool = False,
        cache: Any = None,
        flatten: bool = True,
        batch_size: int = 16,
        device: str = "auto",
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.sample_rate = sample_rate
        self.layers = layers
        self.time_pooling = time_pooling
        self.power = power
        self.r = r
        self.time_axis = time_axis
        self.frontend = frontend
        self.window = window
        self.hop = hop
        self.channel = channel
        self.duration = duration
        self.short_clips = short_clips
        self.resample = resample
        self.trust_hub = trust_hub
        self.cache = cache
        self.flatten = flatten
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Compute the embedding of each clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning. With
            "skip", their feature cell in a clip table is None, and the new column ``error`` has the reason; their values in
            an array are NaN. See :ref:`clips_skip`.

        Returns
        -------
        embedding : ndarray of shape (n_clips, embedding_dim), float32, or DataFrame
            Embeddings. A clip table with ``flatten=False`` is returned with a new column `embedding`. With
            ``time_pooling=None``, the embedding of a clip has shape (embedding_dim, n_frames).

        Raises
        ------
        ValueError
            If clips cannot be read or encoded, or if the encoder returns NaN; it names the clips.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        self._check_run()
        embeddings = self._embedder.map(
            clips,
            cache=self._cache(),
            batch_size=self.batch_size,
            device=self.device,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        values = stacked(embeddings, len(clips))
        return equal_shapes(values) if self.flatten else into_container(values, clips, "embedding")

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns; available if `flatten` is True.

        Parameters
        ----------
        input_features : Ignored
            Not used, present by convention.

        Returns
        -------
        names : ndarray of shape (embedding_dim,), dtype object
            Names of the form ``embedding_{value}``, or ``{layer}_{value}`` if `layers` is not ``"last"``, counted from 0
            within each layer; the name of a numbered layer is ``layer{number}``.
        """
        check_is_fitted(self)
        names = self._embedder.encoder.layers.names
        titles = ["embedding" if name == LAST else f"layer{name}" if isinstance(name, int) else name for name in names]
        pairs = zip(titles, self._dims, strict=True)
        return np.array([f"{title}_{value}" for title, dim in pairs for value in range(dim)], dtype=object)

    def _remember(self, clips: Clips) -> None:
        layers = Layers(layer_names(self.layers), self.time_axis)
        reader = ClipReader(self.sample_rate, self.channel, self.duration, self.short_clips, self.resample)
        with torch.random.fork_rng([]):  # models of some libraries draw weights before they load them
            encoder = encoder_of(self.encoder, layers, trust_hub=self.trust_hub)
        if encoder.sample_rate is not None and encoder.sample_rate != self.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate} is not that of the encoder, {encoder.sample_rate} Hz; set "
                f"sample_rate={encoder.sample_rate}, and files are resampled."
            )
        cutter = self._cutter()
        embedder = Embedder(encoder, cutter, TimePooling(self.time_pooling, self.power, self.r), reader)
        length = cutter.window or int(clips.take(np.array([0])).lengths(self.sample_rate)[0])
        if self.duration is not None and cutter.window is None:
            length = max(1, round(self.duration * self.sample_rate))
        frames = embedder.probe(length or self.sample_rate, self.batch_size)
        if all(one.ndim == 2 for one in frames):
            because = "an encoder that returns one vector for each window"
            pooling = ["time_pooling"] if self.window is None and self.time_pooling is not None else []
            refuse_idle(self, ["time_axis", *pooling], because)
        self._dims = [one.shape[-1] for one in frames]
        self.embedding_dim_ = sum(self._dims)
        self._embedder = replace(embedder, n_values=self.embedding_dim_)

    def _cutter(self) -> Cutter:
        frontend = _frontend_of(self)
        window = None if self.window is None else max(1, round(self.window * self.sample_rate))
        hop = 0 if window is None else window if self.hop is None else max(1, round(self.hop * self.sample_rate))
        return Cutter(window, hop, self.short_clips, None if frontend is None else frontend.spectrogram)

    def _cache(self) -> EmbeddingCache | None:
        """The cache, whose files depend on all that changes embeddings."""
        if self.cache is None:
            return None
        encoder, pooling, cutter = self._embedder.encoder, self._embedder.pooling, self._embedder.cutter
        spectrogram = getattr(cutter.spectrogram, "function", cutter.spectrogram)  # without what it remembers of clips
        frontend = "" if spectrogram is None else fingerprint("frontend", spectrogram)
        kind = torch_device(self.device).type
        parts = (encoder.fingerprint(), encoder.layers, frontend, replace(cutter, spectrogram=None), pooling, kind)
        return EmbeddingCache(Path(self.cache).expanduser(), "|".join(map(str, parts)))

    def _check_parameters(self) -> None:
        ClipReader(self.sample_rate, self.channel, self.duration, self.short_clips, self.resample)
        layer_names(self.layers)
        TimePooling(self.time_pooling, self.power, self.r)
        check_option("time_axis", self.time_axis, TIME_AXES)
        for name in ("window", "hop"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=0, high=_LONGEST, above=True)
        for name in ("resample", "trust_hub", "flatten"):
            check_flag(name, getattr(self, name))
        self._check_run()
        _refuse_idle(self)
        _frontend_of(self)

    def _check_run(self) -> None:
        """Check what may change after ``fit``."""
        if self.cache is not None:
            check_path("cache", self.cache)
        check_integer("batch_size", self.batch_size, low=1)
        check_device(self.device)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)


def _frontend_of(estimator: PretrainedEmbedding) -> Frontend | None:
    """The front end, if there is one, after a look at what it would read by itself."""
    if estimator.frontend is None:
        return None
    frontend = frontend_of(estimator.frontend, osscl_frontend())
    if hasattr(estimator.frontend, "sample_rate") and frontend.reader != ClipReader(estimator.sample_rate):
        raise ValueError(
            f"frontend reads clips by {frontend.reader}, but clips are read by PretrainedEmbedding: give the front end "
            f"sample_rate={estimator.sample_rate}, and set channel, duration, short_clips and resample of "
            "PretrainedEmbedding instead of those of the front end."
        )
    if frontend.on_device is not None:
        raise ValueError("frontend computes on a device of its own; set device='cpu' in the front end.")
    return frontend


def _refuse_idle(estimator: PretrainedEmbedding) -> None:
    """Raise if a parameter has no effect with the others, or they contradict each other."""
    rule, window, hop = estimator.time_pooling, estimator.window, estimator.hop
    for name, needed in (("power", "power"), ("r", "rank")):
        if rule != needed:
            refuse_idle(estimator, [name], f"time_pooling={rule!r}")
    if window is None:
        refuse_idle(estimator, ["hop"], "window=None")
        if estimator.duration is None:
            refuse_idle(estimator, ["short_clips"], "window=None and duration=None")
    elif hop is not None and hop > window:
        raise ValueError(f"hop={hop} is longer than window={window}; parts of long clips would be left out.")
    if rule is None and estimator.flatten:
        raise ValueError("time_pooling=None gives frames that fill no columns; set flatten=False.")
