"""LogMelTransformer: log-mel spectrograms of clips, computed on the CPU or a device."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skasd._device import check_device, dtype_on, torch_device
from skasd._mel import PAD_MODES, MelDefinition
from skasd._parameters import check_integer, check_n_jobs, check_number, check_option
from skasd.clips import ClipReader, Clips, Residual
from skasd.clips._residual import check_channel
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, equal_shapes, into_container, stacked
from skasd.features._mel_cpu import log_mel
from skasd.inputs._frontend import Frontend

_CLIPS_ON_DEVICE = 64
_SMALLEST = 1.2e-38
_LONGEST = 1e5  # more than a day, in seconds
_LEAST_RANGE = 1e-3  # Hz; the area of narrower mel filters cannot be normalised


class LogMelTransformer(ClipTransformer):
    r"""Log-mel spectrogram of each clip.

    The waveform is cut into windowed frames, the power spectrum of each frame is pooled by triangular filters that are
    equally spaced on a mel scale, and the logarithm is taken. Parameter names follow torchaudio.

    Parameters
    ----------
    sample_rate : int, default=16000
        Sample rate of the waveforms, in Hz. Files with another sample rate are resampled.
    n_fft : int, default=1024
        Length of a frame and of its FFT, in samples.
    win_length : int or None, default=None
        Length of the periodic Hann window, in samples, at most `n_fft`; None uses `n_fft`.
    hop_length : int, default=512
        Distance between frames, in samples.
    f_min : float, default=0.0
        Lower edge of the lowest filter, in Hz.
    f_max : float or None, default=None
        Upper edge of the highest filter, in Hz; None uses half the sample rate.
    n_mels : int, default=128
        Number of mel filters.
    power : float, default=2.0
        Exponent of the magnitude spectrum, dimensionless: 2 for power, 1 for magnitude.
    norm : {"slaney", None}, default="slaney"
        Normalisation of the filters: ``"slaney"`` gives unit area (in Hz), None unit height.
    mel_scale : {"slaney", "htk"}, default="slaney"
        Mel scale: ``"slaney"`` [2]_ is linear below 1 kHz and logarithmic above; ``"htk"`` [1]_ is
        :math:`2595 \log_{10}(1 + f / 700)`.
    center : bool, default=True
        Whether frame t is centred on sample ``t * hop_length``, with padding at both ends.
    pad_mode : {"reflect", "constant", "replicate", "circular"}, default="reflect"
        Padding at both ends if `center` is True.
    log : {"db", "natural"}, default="db"
        Unit of the values: decibels or natural logarithm.
    amin : float, default=1e-10
        Lower limit of the mel spectrogram before the logarithm, in its units.
    top_db : float or None, default=None
        Dynamic range in dB: values are clipped to at most this far below the maximum of the clip. Each value then depends
        on the loudest moment of its clip.
    channel : int, {"mean", "residual"} or Residual, default=0
        Channel to use of multichannel clips; ``"mean"`` averages them, and ``"residual"`` is the near one of two
        microphones without what the far one hears too, see :class:`skasd.clips.Residual`.
    duration : float or None, default=None
        Length in seconds, at most 100000. Longer clips are cut at the end, shorter ones extended according to
        `short_clips`; None keeps all lengths.
    short_clips : {"zero", "tile"}, default="zero"
        How clips shorter than `duration` are extended: with zeros or by repetition.
    resample : bool, default=True
        Whether files with another sample rate are resampled (True) or raise an error (False).
    flatten : bool, default=False
        Whether to return a 2-D array with one column per band and frame, for scikit-learn estimators.
    device : str, default="cpu"
        ``"cpu"``, a torch device such as ``"cuda"``, or ``"auto"`` for an accelerator if there is one.
    n_jobs : int or None, default=-1
        Number of threads that read and transform clips; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if at least 1.

    Attributes
    ----------
    n_features_in_ : int
        Number of time points per clip, if fitted on a 2-D array.

    See Also
    --------
    MedianFilter : Removes short events from a spectrogram.
    TWFRTransformer : Pools each clip over time into one spectrum.

    Notes
    -----
    With `center` and hop length :math:`H`, a clip of :math:`n` time points has :math:`1 + \lfloor n / H \rfloor` frames. One
    that is too short for a frame is zero-padded at the end. float64 input gives float64 output; files and other input give
    float32. The result equals librosa's ``feature.melspectrogram`` with the same `pad_mode` (``"constant"`` by default since
    librosa 0.9) followed by ``power_to_db(top_db=None)`` and, with
    ``norm=None, mel_scale="htk"``, torchaudio's ``MelSpectrogram`` followed by ``AmplitudeToDB``.

    References
    ----------
    .. [1] S. Young et al., "The HTK Book", Cambridge University, 2006, section 5.4.
    .. [2] M. Slaney, "Auditory Toolbox version 2", Interval Research Corporation report 1998-010.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.features import LogMelTransformer
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> spectrogram = LogMelTransformer(n_mels=40).fit_transform([sine])
    >>> spectrogram.shape
    (1, 40, 32)
    >>> int(spectrogram[0, :, 16].argmax())
    13
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 1024,
        win_length: int | None = None,
        hop_length: int = 512,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_mels: int = 128,
        power: float = 2.0,
        norm: str | None = "slaney",
        mel_scale: str = "slaney",
        center: bool = True,
        pad_mode: str = "reflect",
        log: str = "db",
        amin: float = 1e-10,
        top_db: float | None = None,
        channel: int | str | Residual = 0,
        duration: float | None = None,
        short_clips: str = "zero",
        resample: bool = True,
        flatten: bool = False,
        device: str = "cpu",
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.f_min = f_min
        self.f_max = f_max
        self.n_mels = n_mels
        self.power = power
        self.norm = norm
        self.mel_scale = mel_scale
        self.center = center
        self.pad_mode = pad_mode
        self.log = log
        self.amin = amin
        self.top_db = top_db
        self.channel = channel
        self.duration = duration
        self.short_clips = short_clips
        self.resample = resample
        self.flatten = flatten
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Compute the log-mel spectrograms of clips.

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
        log_mel : ndarray of shape (n_clips, n_mels, n_frames), or DataFrame
            Spectrograms. For a clip table, the table with the column `log_mel` added; with `flatten`, always an array of
            shape (n_clips, n_mels * n_frames).

        Raises
        ------
        ValueError
            If clips cannot be read, listing all of them, or have unequal lengths where an array is needed.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        spectrograms = stacked(self.map(clips, np.asarray), len(clips))
        if self.flatten:
            return equal_shapes(spectrograms).reshape(len(clips), -1)
        return into_container(spectrograms, clips, "log_mel")

    def map(self, clips: Clips, function: Callable[[np.ndarray], Any]) -> Iterator[Any]:
        """Apply a function to the spectrogram of each clip in order, with only a few in memory at a time.

        Meant for estimators that do not need all spectrograms at once. An unreadable clip gives None, and the iterator
        raises an error after the last clip.

        Parameters
        ----------
        clips : Clips
            Clips to transform.
        function : callable
            Function of a spectrogram of shape (n_mels, n_frames).

        Returns
        -------
        results : iterator
            Result of `function` for each clip.
        """
        progress: dict[str, Any] = {"n_jobs": self.n_jobs, "verbose": self.verbose}
        return self._frontend().map(clips, function, **progress)

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns with `flatten`: ``mel{band}_frame{frame}``.

        Parameters
        ----------
        input_features : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        names : ndarray of shape (n_mels * n_frames,), dtype object
            One name per column.
        """
        check_is_fitted(self)
        n_frames = self._definition().n_frames(self._n_timepoints_in_first)
        return np.array(
            [f"mel{band}_frame{frame}" for band in range(self.n_mels) for frame in range(n_frames)], dtype=object
        )

    def _remember(self, clips: Clips) -> None:
        if self.flatten:  # the number of columns depends on the length of a clip
            (first,) = clips.take(np.array([0])).map(np.asarray, self._frontend().reader)
            self._n_timepoints_in_first = len(first)

    def _as_frontend(self) -> Frontend:
        """What a detector makes its spectrograms with, after a look at the parameters."""
        self._check_parameters()
        if self.flatten:
            raise ValueError("frontend=LogMelTransformer(flatten=True) gives no spectrograms; set flatten=False.")
        return self._frontend()

    def _frontend(self) -> Frontend:
        definition = self._definition()
        return Frontend(
            ClipReader(self.sample_rate, self.channel, self.duration, self.short_clips, self.resample),
            partial(log_mel, definition=definition),
            shape=partial(_shape, definition=definition),
            frequencies=partial(_centers, definition=definition),
            log_unit=2 / definition.power / definition.log_scale,
            hop_length=self.hop_length,
            on_device=None if self.device == "cpu" else partial(_on_device, definition=definition, device=self.device),
        )

    def _definition(self) -> MelDefinition:
        names = MelDefinition.__dataclass_fields__
        return MelDefinition(**{name: getattr(self, name) for name in names})

    def _check_parameters(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            check_integer(name, getattr(self, name), low=2 if name == "n_fft" else 1)
        if self.win_length is not None:
            check_integer("win_length", self.win_length, low=1)
        for name in ("power", "amin"):
            check_number(name, getattr(self, name), low=0, above=True)
        for name in ("top_db", "duration"):
            if getattr(self, name) is not None:
                check_number(
                    name, getattr(self, name), low=0, high=_LONGEST if name == "duration" else np.inf, above=True
                )
        check_option("norm", self.norm, ("slaney", None))
        check_option("mel_scale", self.mel_scale, ("slaney", "htk"))
        check_option("pad_mode", self.pad_mode, PAD_MODES)
        check_option("log", self.log, ("db", "natural"))
        check_option("short_clips", self.short_clips, ("zero", "tile"))
        check_channel(self.channel)
        for name in ("center", "resample", "flatten"):
            check_option(name, getattr(self, name), (True, False))
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        if self.amin < _SMALLEST:
            raise ValueError(
                f"amin={self.amin!r} is below {_SMALLEST}, the smallest normal float32; use a larger value."
            )
        check_device(self.device)
        self._check_relations()

    def _check_relations(self) -> None:
        if self.win_length is not None and self.win_length > self.n_fft:
            raise ValueError(f"win_length={self.win_length} is longer than n_fft={self.n_fft}; use at most n_fft.")
        f_max = self.sample_rate / 2 if self.f_max is None else self.f_max
        check_number("f_max", f_max, low=0, high=self.sample_rate / 2, above=True)
        check_number("f_min", self.f_min, low=0, high=f_max)
        if f_max - self.f_min < _LEAST_RANGE:
            raise ValueError(
                f"f_min={self.f_min} and f_max={f_max} leave no frequency range; f_min must be at least {_LEAST_RANGE} Hz "
                "below f_max."
            )
        if self.top_db is not None and self.log != "db":
            raise ValueError(f"top_db={self.top_db} needs log='db', not log={self.log!r}.")
        warn_of_empty_bands(self._definition())


def warn_of_empty_bands(definition: MelDefinition) -> None:
    """Warn if mel filters lie between the frequencies of the FFT, so that their bands hold the same value in all clips."""
    empty = definition.empty_bands()
    if len(empty):
        warnings.warn(
            f"{len(empty)} of n_mels={definition.n_mels} mel bands, such as band {empty[0]} at "
            f"{definition.centers()[empty[0]]:.0f} Hz, are empty: with n_fft={definition.n_fft} the FFT has a frequency "
            f"every {definition.sample_rate / definition.n_fft:.1f} Hz, and none falls into their filters. They are "
            "constant in every clip; use a larger n_fft or fewer n_mels.",
            stacklevel=5,
        )


def _shape(n_timepoints: int, *, definition: MelDefinition) -> tuple[int, int]:
    return definition.n_mels, definition.n_frames(n_timepoints)


def _centers(n_bands: int, *, definition: MelDefinition) -> np.ndarray:
    return replace(definition, n_mels=n_bands).centers()


def _on_device(waveforms: Iterable[Any], *, definition: MelDefinition, device: str) -> Iterator[np.ndarray]:
    """Spectrograms in order, computed in batches of consecutive clips of equal length; None for None."""
    import torch  # imported here so that the CPU path does not need it

    from skasd._torch_state import own_torch_state
    from skasd.networks import LogMelNet

    place = torch_device(device)
    for batch in _batches(waveforms):
        if batch[0] is None:
            yield from batch
            continue
        with own_torch_state(), torch.inference_mode():
            dtype = dtype_on(place, torch.from_numpy(batch[0]).dtype)
            network = LogMelNet(definition, dtype=dtype).to(place)
            spectrograms = network(torch.from_numpy(np.stack(batch)).to(place, dtype)).cpu().numpy()
        yield from spectrograms.astype(batch[0].dtype, copy=False)


def _batches(waveforms: Iterable[Any]) -> Iterator[list]:
    for _, neighbours in groupby(
        waveforms, key=lambda waveform: None if waveform is None else (waveform.shape, waveform.dtype)
    ):
        while batch := list(islice(neighbours, _CLIPS_ON_DEVICE)):
            yield batch
