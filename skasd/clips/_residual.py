"""Which channel of a clip is used: one, the mean of all, or the residual of two microphones by spectral subtraction.

Axes: T frames, F frequencies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from skasd._parameters import check_integer, check_number
from skasd.clips._arrays import checked_samples

_FRAME = 0.064  # s; rounded to a power of two of samples
_SHORTEST_FRAME = 16  # samples
_SMOOTHED = 3  # frames, and frequencies, over which powers are averaged
_MARGIN = 4  # frames before and after a block that its smoothed powers may depend on
_BLOCK = 2**20  # samples of a long recording at a time: about a minute at 16 kHz
_NAMED = ("mean", "residual")
_TINY = 1e-30  # power of silence, far below that of the last bit of a sample


@dataclass(frozen=True)
class Residual:
    r"""Two microphones as one channel: the near one without what the far one hears too.

    Noise that comes from elsewhere is about as loud at both microphones, and the machine is louder at the near one. Where
    the near microphone is not clearly louder, in time and frequency, it is attenuated. The result is a waveform of the same
    length, so that every front end and detector can use it.

    Parameters
    ----------
    near, far : int, default=0, 1
        Channels of the two microphones, counted from 0.
    alpha : float, default=3.0
        Factor on the power of the far microphone, above 0, dimensionless: the over-subtraction factor of [2]_. A sound stays
        if its power at the near microphone exceeds `alpha` times that at the far one, so the machine must be louder by
        :math:`10 \log_{10} \alpha` dB, which is 4.8 dB for 3. Multiply it by the ratio of the powers of the near and the far
        microphone if equal noise does not give equal levels.
    floor_db : float, default=-10.0
        Attenuation of lasting noise, in dB, from -100 to 0. What is louder at the far microphone than usual in this clip is
        attenuated further, to the level that lasting noise is left at.

    See Also
    --------
    skasd.features.LogMelTransformer : Takes it as `channel`; ``channel="residual"`` is ``Residual()`` for two channels.

    Notes
    -----
    With :math:`N` and :math:`F` the powers of the near and the far microphone in frames of 64 ms (half overlapping, square
    root of a Hann window), each the mean over 3 frames and 3 frequencies, and :math:`\tilde F` the median of :math:`F` over
    the frames of the clip, the spectrum of the near microphone is multiplied by

    .. math:: G = \sqrt{\max\left( 1 - \alpha \frac{F}{N},\; \phi \min\Bigl( 1, \frac{\tilde F}{F} \Bigr) \right)},
              \qquad \phi = 10^{\text{floor} / 10}.

    The first term is the subtraction of [1]_, the floor follows the idea of [2]_; here it keeps what is left of passing
    events at the level of the lasting noise, so that they neither stand out nor leave holes. A recording longer than
    :math:`2^{20}` time points is processed in blocks of that length with medians of their own.

    References
    ----------
    .. [1] S. F. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE Transactions on Acoustics,
           Speech, and Signal Processing 27(2), 1979.
    .. [2] M. Berouti, R. Schwartz, J. Makhoul, "Enhancement of speech corrupted by acoustic noise", ICASSP 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.clips import ClipReader, Residual
    >>> machine, noise = np.random.default_rng(0).normal(scale=0.1, size=(2, 16000))
    >>> def level(waveform):
    ...     return round(float(10 * np.log10(np.mean(waveform**2))))
    >>> level(ClipReader(channel=Residual())(np.stack([machine, np.zeros(16000)])))
    -20
    >>> level(ClipReader(channel=Residual())(np.stack([noise, noise])))
    -31
    """

    near: int = 0
    far: int = 1
    alpha: float = 3.0
    floor_db: float = -10.0

    def __post_init__(self) -> None:
        for name in ("near", "far"):
            check_integer(name, getattr(self, name), low=0)
        if self.near == self.far:
            raise ValueError(f"near={self.near} and far={self.far} are the same channel; two microphones are expected.")
        check_number("alpha", self.alpha, low=0, high=1e6, above=True)
        check_number("floor_db", self.floor_db, low=-100, high=0)

    def __call__(self, near: np.ndarray, far: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the residual of two waveforms.

        Parameters
        ----------
        near, far : ndarray of shape (n_timepoints,)
            Waveforms of the near and the far microphone, float32 or float64.
        sample_rate : int
            Sample rate in Hz.

        Returns
        -------
        residual : ndarray of shape (n_timepoints,)
            Waveform of the near microphone without what the far one hears too.
        """
        hop = max(_SHORTEST_FRAME, 2 ** round(np.log2(_FRAME * sample_rate))) // 2
        margin, block = _MARGIN * hop, -(-_BLOCK // hop) * hop
        padded = [np.pad(waveform, (margin, margin + hop)) for waveform in (near, far)]
        result = np.empty_like(near)
        for start in range(0, len(near), block):
            length = min(block, len(near) - start)
            near_part, far_part = (waveform[start : start + block + 2 * margin] for waveform in padded)
            sounding = slice(_MARGIN - 1, _MARGIN + -(-length // hop))  # frames that overlap with the block
            result[start : start + length] = self._of_block(near_part, far_part, hop, sounding)[margin:][:length]
        return result

    def _of_block(self, near: np.ndarray, far: np.ndarray, hop: int, sounding: slice) -> np.ndarray:
        window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(near.dtype)  # its squares add up to 1
        spectrum = _spectrum(near, window, hop)
        of_near, of_far = _smooth_power(spectrum), _smooth_power(_spectrum(far, window, hop))
        usual = np.median(of_far[sounding], axis=0)
        kept = 1.0 - np.minimum(self.alpha * of_far, of_near) / np.maximum(of_near, _TINY)
        floor = 10 ** (self.floor_db / 10) * np.minimum(usual, of_far) / np.maximum(of_far, _TINY)
        spectrum *= np.sqrt(np.maximum(kept, floor)).astype(near.dtype)
        frames = scipy.fft.irfft(spectrum, n=2 * hop, axis=1) * window
        result = np.zeros_like(near)
        for first in (0, 1):
            half = frames[first::2]
            result[first * hop :][: half.size] += half.ravel()
        return result


def _spectrum(waveform: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Spectrum (T, F) of windowed frames that overlap by half."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 2 * hop)[::hop]
    return scipy.fft.rfft(frames * window, axis=1)


def _smooth_power(spectrum: np.ndarray) -> np.ndarray:
    """Power (T, F), averaged over neighbouring frames and frequencies."""
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    from scipy.ndimage import uniform_filter1d

    for axis in (0, 1):
        power = uniform_filter1d(power, _SMOOTHED, axis=axis, mode="nearest")
    return np.maximum(power, 0.0)  # running sums round below 0


def check_channel(channel: Any) -> None:
    """Raise unless `channel` is an integer from 0, ``"mean"``, ``"residual"`` or a :class:`Residual`."""
    if isinstance(channel, Residual) or (isinstance(channel, str) and channel in _NAMED):
        return
    check_integer("channel", channel, low=0, other="'mean', 'residual' or a Residual")


def one_waveform(channels: np.ndarray, channel: Any, sample_rate: int) -> np.ndarray:
    """One waveform of the channels of a clip.

    Parameters
    ----------
    channels : ndarray of shape (n_channels, n_timepoints)
        All channels.
    channel : int, {"mean", "residual"} or Residual
        The choice of the user.
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    waveform : ndarray of shape (n_timepoints,)
        The waveform; only that of a residual is known to be finite.

    Raises
    ------
    ValueError
        If the clip has too few channels, or more than two where the near one and the far one are not named; or if a
        microphone of a residual holds NaN, infinity or a sample that no sound has.
    """
    n_channels = len(channels)
    if channel == "mean":
        return channels[0] if n_channels == 1 else channels.mean(axis=0)
    if channel == "residual" and n_channels > 2:
        raise ValueError(
            f"has {n_channels} channels, and channel='residual' takes two, near and far; name them: "
            "channel=Residual(near=0, far=1), from skasd.clips"
        )
    residual = Residual() if channel == "residual" else channel
    if isinstance(residual, Residual):
        if max(residual.near, residual.far) >= n_channels:
            raise ValueError(
                f"has {n_channels} channel(s), and a residual needs two microphones, near={residual.near} and "
                f"far={residual.far}; channel=0 uses the first channel alone"
            )
        both, _ = checked_samples(channels[[residual.near, residual.far]])  # NaN would spread from frame to frame
        return residual(both[0], both[1], sample_rate)
    if channel >= n_channels:
        raise ValueError(
            f"has {n_channels} channel(s), so there is no channel={channel}; "
            "channels are counted from 0, and channel='mean' averages them"
        )
    return channels[channel]


def as_channels(waveform: np.ndarray, channel: Any) -> np.ndarray:
    """The inverse of :func:`one_waveform`: channels from which `channel` reads this waveform, the others silent.

    Parameters
    ----------
    waveform : ndarray of shape (n_timepoints,)
        Waveform.
    channel : int, {"mean", "residual"} or Residual
        How it will be read.

    Returns
    -------
    channels : ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
        The waveform itself if any reader of one channel reads it.
    """
    if channel == "mean" or channel == 0:
        return waveform
    residual = Residual() if channel == "residual" else channel
    used = (residual.near, residual.far) if isinstance(residual, Residual) else (int(residual),)
    channels = np.zeros((max(used) + 1, len(waveform)), waveform.dtype)
    channels[used[0]] = waveform
    return channels
