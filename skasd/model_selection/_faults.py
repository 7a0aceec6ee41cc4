"""Synthetic faults, applied to one clip at a time: a waveform or a log-mel spectrogram."""

from collections.abc import Callable

import numpy as np
from scipy import signal

_BAND_WIDTH = 0.08  # standard deviation of the raised bump, as a fraction of the frequency axis
_MODULATIONS = (1.0, 8.0)  # modulation cycles per clip
_CLICKS_PER_CLIP = (3, 9)
_CLICK = 160  # samples
_FLOOR = 1e-12  # smallest power, for silent clips
_WINDOW = 1024  # samples; STFT window for waveforms

Fault = Callable[[np.ndarray, np.ndarray, float, np.random.RandomState], np.ndarray]


def raise_bands(clip: np.ndarray, _: np.ndarray, severity: float, rng: np.random.RandomState) -> np.ndarray:
    """Boost a frequency band by up to 6 dB at severity 1, modulated a few times over the clip."""
    depth, center = 6.0 * severity, rng.uniform()
    rate, phase = rng.uniform(*_MODULATIONS), rng.uniform(0, 2 * np.pi)

    def gain_db(n_bands: int, n_frames: int) -> np.ndarray:
        bump = np.exp(-0.5 * ((np.linspace(0, 1, n_bands) - center) / _BAND_WIDTH) ** 2)
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * rate * np.linspace(0, 1, n_frames) + phase)
        return depth * bump[:, None] * swing

    if clip.ndim == 2:
        return clip + gain_db(*clip.shape)
    spectrum = _stft(clip)
    n_bands, n_frames = spectrum.shape
    warped = np.linspace(0, 1, n_bands) ** (1 / 3)  # puts centres at low frequencies as often as mel bands do
    gains = gain_db(n_bands, n_frames)
    gains = np.stack([np.interp(warped, np.linspace(0, 1, n_bands), column) for column in gains.T], axis=1)
    return _istft(spectrum * 10 ** (gains / 20), len(clip))


def add_clicks(clip: np.ndarray, _: np.ndarray, severity: float, rng: np.random.RandomState) -> np.ndarray:
    """Add a few short clicks; at severity 1 their power is ten times the mean power of the clip."""
    n_clicks, power = rng.randint(*_CLICKS_PER_CLIP), 10.0 * severity
    if clip.ndim == 2:
        linear = 10 ** (clip / 10)
        frames = rng.randint(clip.shape[1], size=n_clicks)
        linear[:, frames] += power * linear.mean() * rng.exponential(size=(len(clip), n_clicks))
        return 10 * np.log10(linear + _FLOOR)
    result = clip.copy()
    level = np.sqrt(power * np.mean(clip**2) + _FLOOR)
    for start in rng.randint(len(clip), size=n_clicks):
        click = level * rng.standard_normal(_CLICK) * np.exp(-np.arange(_CLICK) / (_CLICK / 4))
        result[start : start + _CLICK] += click[: len(clip) - start]
    return result


def mix_in(clip: np.ndarray, other: np.ndarray, severity: float, rng: np.random.RandomState) -> np.ndarray:
    """Mix in another clip, 5 dB quieter at severity 1; doubling the severity adds 3 dB."""
    share = 10**-0.5 * severity
    if clip.ndim == 2:
        linear, added = 10 ** (clip / 10), 10 ** (_of_length(other, clip.shape[1]) / 10)
        return 10 * np.log10(linear + share * added * (linear.mean() / max(added.mean(), _FLOOR)) + _FLOOR)
    added = _of_length(other, len(clip))
    return clip + added * np.sqrt(share * np.mean(clip**2) / max(np.mean(added**2), _FLOOR))


def stretch(clip: np.ndarray, _: np.ndarray, severity: float, rng: np.random.RandomState) -> np.ndarray:
    """Play 10 to 20 % slower or faster at severity 1 with unchanged pitch; the result is cut or repeated to length."""
    change = severity * rng.uniform(0.1, 0.2)
    rate = 1 + change if rng.uniform() < 0.5 else 1 / (1 + change)
    if clip.ndim == 2:
        places = np.arange(clip.shape[1]) * rate % max(clip.shape[1] - 1, 1)
        return np.stack([np.interp(places, np.arange(clip.shape[1]), band) for band in clip])
    spectrum = _stft(clip)
    places = np.arange(0, max(spectrum.shape[1] - 1, 1), rate)
    stretched = _istft(_vocoded(spectrum, places), int(len(clip) / rate))
    return _of_length(stretched, len(clip))


def upside_down(clip: np.ndarray) -> np.ndarray:
    """Clip with its spectrum flipped in frequency: low bands get the level of high ones."""
    return clip[::-1] if clip.ndim == 2 else clip * (1 - 2 * (np.arange(len(clip)) % 2))


FAULTS: dict[str, Fault] = {"band_gain": raise_bands, "clicks": add_clicks, "mix": mix_in, "stretch": stretch}


def _vocoded(spectrum: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Spectrum at fractional frame positions, with phases accumulated as in a phase vocoder."""
    padded = np.pad(spectrum, ((0, 0), (0, 2)))
    before = places.astype(int)
    share = places - before
    magnitude = (1 - share) * np.abs(padded[:, before]) + share * np.abs(padded[:, before + 1])
    advance = np.angle(padded[:, before + 1]) - np.angle(padded[:, before])
    phase = np.angle(padded[:, :1]) + np.concatenate(
        [np.zeros((len(spectrum), 1)), np.cumsum(advance, axis=1)[:, :-1]], axis=1
    )
    return magnitude * np.exp(1j * phase)


def _stft(clip: np.ndarray) -> np.ndarray:
    return signal.stft(_of_length(clip, max(len(clip), _WINDOW)), nperseg=_WINDOW, noverlap=_WINDOW * 3 // 4)[2]


def _istft(spectrum: np.ndarray, length: int) -> np.ndarray:
    return _of_length(signal.istft(spectrum, nperseg=_WINDOW, noverlap=_WINDOW * 3 // 4)[1], length)


def _of_length(clip: np.ndarray, length: int) -> np.ndarray:
    """Clip cut or repeated to `length` along its last axis."""
    repeats = -(-length // clip.shape[-1])
    return np.concatenate([clip] * repeats, axis=-1)[..., :length]
