"""Pictures of a report: spectrogram and anomaly map of a clip on the same axes, as small PNG files.

Axes: F mel bands from low to high, T columns of equal duration.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from skasd._mel import MelDefinition, hz_to_mel
from skasd.features._mel_cpu import log_mel
from skasd.report._sound import Sound

_FRAME = 0.064  # s, rounded to a power of two of samples
_MOST_BANDS, _MOST_COLUMNS = 80, 320
_N_COLORS = 48  # shades that an eye tells apart; fewer make smaller files
_SPECTRUM = ("#0b1220", "#12365a", "#1f6f8b", "#58b2a4", "#d9ecc7", "#ffffff")  # quiet to loud
_MAP = ("#14121a", "#4a1c33", "#9c2c34", "#dd5b26", "#f8a545", "#fff3c4")  # nothing to much
_ROUND_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
_TICK_APART = 0.12  # of the height


@dataclass(frozen=True)
class Axes:
    """Axes that the pictures of a clip share.

    Parameters
    ----------
    start, end : float
        First and last moment in s.
    highest : float
        Highest frequency in Hz, half the sample rate.
    n_bands : int
        Number of mel bands.
    """

    start: float
    end: float
    highest: float
    n_bands: int

    @classmethod
    def of(cls, sound: Sound) -> "Axes":
        """Axes for a sound.

        Parameters
        ----------
        sound : Sound
            A clip, or the part of it that the report holds.
        """
        return cls(sound.start, sound.start + sound.seconds, sound.sample_rate / 2, _definition(sound).n_mels)

    def height(self, frequency: np.ndarray | float) -> np.ndarray:
        """Where frequencies are in the picture, from 0 at the bottom to 1 at the top.

        Parameters
        ----------
        frequency : ndarray or float
            Frequencies in Hz.
        """
        bands = hz_to_mel(frequency, "slaney") / hz_to_mel(self.highest, "slaney") * (self.n_bands + 1) - 0.5
        return np.clip(bands / self.n_bands, 0.0, 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Heights and labels of round frequencies, far enough apart to be read."""
        found: list[tuple[float, str]] = []
        for frequency in _ROUND_HZ:
            height = float(self.height(frequency))
            if height < 0.97 and (not found or height - found[-1][0] > _TICK_APART):
                found.append((height, f"{frequency // 1000} kHz" if frequency >= 1000 else f"{frequency} Hz"))
        return found


def spectrogram(sound: Sound) -> np.ndarray:
    """Log-mel spectrogram (F, T) of a sound in dB, with at most 320 columns.

    Parameters
    ----------
    sound : Sound
        A clip, or the part of it that the report holds.
    """
    definition = _definition(sound)
    level = log_mel(np.asarray(sound.waveform, dtype=np.float32), definition)
    n_columns = min(_MOST_COLUMNS, level.shape[1])
    starts = np.arange(n_columns) * level.shape[1] // n_columns
    return np.maximum.reduceat(level, starts, axis=1)


def on_axes(values: np.ndarray, times: np.ndarray, frequencies: np.ndarray, axes: Axes) -> np.ndarray:
    """An anomaly map (F, T) on the axes of the spectrogram; of several places in one pixel, the largest value is shown.

    Parameters
    ----------
    values : ndarray of shape (n_mels, n_frames)
        Map of a detector.
    times : ndarray of shape (n_frames,)
        Centre of each frame, in s.
    frequencies : ndarray of shape (n_mels,)
        Centre of each band, in Hz; NaN where it is not known, which spreads the bands over the whole height.
    axes : Axes
        Axes of the picture.
    """
    inside = np.flatnonzero((times >= axes.start) & (times <= axes.end))
    inside = inside if len(inside) else np.array([int(np.argmin(np.abs(times - axes.start)))])
    n_columns = min(_MOST_COLUMNS, len(inside))
    starts = np.arange(n_columns) * len(inside) // n_columns
    columns = np.maximum.reduceat(values[:, inside], starts, axis=1)
    known = np.isfinite(frequencies).all()
    heights = axes.height(frequencies) if known else (np.arange(len(values)) + 0.5) / len(values)
    rows = (np.arange(axes.n_bands) + 0.5) / axes.n_bands
    picture = np.nan_to_num(columns[np.abs(rows[:, None] - heights[None, :]).argmin(axis=1)])
    row_of_band = np.minimum((heights * axes.n_bands).astype(int), axes.n_bands - 1)
    np.maximum.at(picture, row_of_band, np.nan_to_num(columns))
    return picture


def spectrogram_png(level: np.ndarray, lowest: float, highest: float) -> bytes:
    """PNG file of a spectrogram.

    Parameters
    ----------
    level : ndarray of shape (F, T)
        Levels in dB.
    lowest, highest : float
        Levels in dB of the darkest and the brightest color.
    """
    return _png((level - lowest) / max(highest - lowest, 1e-6), _SPECTRUM)


def map_png(values: np.ndarray, largest: float) -> bytes:
    """PNG file of an anomaly map, brighter by the square root of its values; what makes a clip more normal is dark.

    Parameters
    ----------
    values : ndarray of shape (F, T)
        How much each place adds to the anomaly score.
    largest : float
        Value of the brightest color.
    """
    return _png(np.sqrt(np.maximum(values, 0.0) / largest) if largest > 0 else np.zeros_like(values), _MAP)


def _definition(sound: Sound) -> MelDefinition:
    n_fft = int(2 ** np.clip(round(np.log2(_FRAME * sound.sample_rate)), 4, 16))
    n_mels = min(_MOST_BANDS, max(1, n_fft // 8))
    return MelDefinition(sample_rate=sound.sample_rate, n_fft=n_fft, hop_length=n_fft // 4, n_mels=n_mels)


def _png(shares: np.ndarray, colors: tuple[str, ...]) -> bytes:
    shade = np.clip(np.nan_to_num(shares) * (_N_COLORS - 1), 0, _N_COLORS - 1).round().astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(shade[::-1]))
    picture.putpalette(_palette(colors))
    stream = BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _palette(colors: tuple[str, ...]) -> list[int]:
    """Red, green and blue of shades between colors, one behind the other."""
    corners = np.array([[int(color[start : start + 2], 16) for start in (1, 3, 5)] for color in colors])
    places = np.linspace(0, len(colors) - 1, _N_COLORS)
    channels = [np.interp(places, np.arange(len(colors)), corners[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(int).ravel().tolist()
