"""Which bands of a spectrogram are augmented: those above a frequency.

Axes: F mel bands, C classes.
"""

import numpy as np
import torch
from torch import Tensor

_LEAST_HZ, _MOST_HZ = 1000.0, 4000.0  # where power may put the split
_SHARE_BELOW = 0.8


def band_mask(frequency: np.ndarray, split_frequency: float, width: float = 0.0, *, invert: bool = False) -> Tensor:
    r"""Weight of each band: 0 well below a frequency, 1 well above it.

    Parameters
    ----------
    frequency : ndarray of shape (F,)
        Centres of the bands, in Hz, ascending.
    split_frequency : float
        In Hz. 0 is the whole band.
    width : float, default=0.0
        :math:`w`, in bands, of the transition :math:`1 / (1 + e^{-(b - b_s) / w})` about the first band :math:`b_s` at or
        above `split_frequency`; 0 is a step.
    invert : bool, default=False
        Whether the weights are turned into what they lack of 1.

    Returns
    -------
    mask : Tensor of shape (F,), float64

    Examples
    --------
    >>> band_mask(np.array([500.0, 1500.0, 2500.0, 3500.0]), 2000.0)
    tensor([0., 0., 1., 1.], dtype=torch.float64)
    """
    first = int(np.searchsorted(frequency, split_frequency))
    distance = torch.arange(len(frequency), dtype=torch.float64) - first
    if width and split_frequency > 0:
        mask = torch.sigmoid(distance / width)
    else:
        mask = (distance >= 0).double()
    return 1 - mask if invert else mask


def power_split(frequency: np.ndarray, power: np.ndarray) -> float:
    """Lowest frequency up to which four fifths of the power lie, in Hz, between 1 and 4 kHz.

    Parameters
    ----------
    frequency : ndarray of shape (F,)
        Centres of the bands, in Hz.
    power : ndarray of shape (F,)
        Mean power of each, in any unit.

    Examples
    --------
    >>> power_split(np.array([900.0, 1800.0, 2700.0, 3600.0]), np.array([4.0, 3.0, 2.0, 1.0]))
    2700.0
    """
    below = np.cumsum(power) / np.sum(power)
    return float(np.clip(frequency[np.argmax(below >= _SHARE_BELOW)], _LEAST_HZ, _MOST_HZ))
