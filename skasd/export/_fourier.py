r"""Spectra of real signals as products of small matrices, which ONNX Runtime computes faster than its own transform.

With :math:`n = p q`, time point :math:`q a + b` and frequency :math:`k_1 + p k_2`, the discrete Fourier transform is

.. math::
    Y_{k_1, b} &= e^{-2 \pi i b k_1 / n} \sum_a x_{q a + b} e^{-2 \pi i a k_1 / p} \\
    X_{k_1 + p k_2} &= \sum_b Y_{k_1, b} e^{-2 \pi i b k_2 / q}

and :math:`k_1 \le p / 2` is enough, as a real signal has the same power at k and n - k.

Axes: M signals, n time points, H first digits of a frequency, p // 2 + 1 of them.
"""

import numpy as np
import torch
from torch import Tensor, nn

_LARGEST_FACTOR = 4096  # of a number of time points; the matrices are as large as its square


def factors(n: int) -> tuple[int, int]:
    """Split a number into the two most similar factors, the smaller one first.

    Parameters
    ----------
    n : int
        Number of time points.

    Returns
    -------
    p, q : int
        Factors.

    Examples
    --------
    >>> factors(1024), factors(160000), factors(7)
    ((32, 32), (400, 400), (1, 7))
    """
    p = next(p for p in range(int(np.sqrt(n)), 0, -1) if n % p == 0)
    return p, n // p


def _as_buffer(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _complex_product(matrix: np.ndarray) -> np.ndarray:
    """Matrix (..., 2 m, 2 n) by which (real, imaginary) parts side by side are multiplied by a complex one (..., m, n)."""
    real = np.concatenate([matrix.real, matrix.imag], axis=-1)
    return np.concatenate([real, np.concatenate([-matrix.imag, matrix.real], axis=-1)], axis=-2)


def _roots(n: int, *digits: np.ndarray) -> np.ndarray:
    """n-th roots of unity whose exponents are outer products of integers, reduced before they lose precision."""
    return np.exp(-2j * np.pi * (np.multiply.outer(*digits) % n) / n)


class PowerSpectrum(nn.Module):
    """Power of many short signals at all frequencies.

    Parameters
    ----------
    n : int
        Number of time points of a signal.

    Attributes
    ----------
    frequency : ndarray of shape (n_values,), int
        Frequency of each value of the output, in cycles per n time points; some are there twice.
    """

    first: Tensor
    second: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.p, self.q = factors(n)
        k1, k2, b = np.arange(self.p // 2 + 1), np.arange(self.q), np.arange(self.q)
        frequency = (k1[:, None] + self.p * k2).ravel()
        self.frequency = np.minimum(frequency, n - frequency)
        first = _roots(self.p, k1, np.arange(self.p))
        self.register_buffer("first", _as_buffer(np.stack([first.real, first.imag], axis=1).reshape(-1, self.p)))
        second = _roots(n, k1, b)[:, :, None] * _roots(self.q, b, k2)
        self.register_buffer("second", _as_buffer(_complex_product(second)))

    def forward(self, signal: Tensor) -> Tensor:
        """Power (M, n_values) of signals (M, n)."""
        inner = self.first @ signal.reshape(-1, self.p, self.q)  # (M, 2 H, q)
        inner = inner.reshape(-1, self.p // 2 + 1, 2 * self.q).transpose(0, 1)  # (H, M, 2 q)
        squared = (inner @ self.second).square()
        power = squared[..., : self.q] + squared[..., self.q :]  # (H, M, q)
        return power.transpose(0, 1).reshape(-1, self.frequency.size)


class MagnitudeSpectrum(nn.Module):
    """Magnitude of a few long signals at the frequencies 0 to n // 2.

    Parameters
    ----------
    n : int
        Number of time points of a signal.

    Raises
    ------
    ValueError
        If n has so large a prime factor that the matrices would not fit into a file.
    """

    first: Tensor
    turn_real: Tensor
    turn_imaginary: Tensor
    second: Tensor
    place: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.p, self.q = factors(n)
        if self.q > _LARGEST_FACTOR:
            raise ValueError(
                f"Spectra of clips of {n} time points cannot be exported, as {n} is no product of two numbers up to "
                f"{_LARGEST_FACTOR}; fit with a round duration, such as frontend=LogMelTransformer(duration=10.0)."
            )
        k1, k2, b = np.arange(self.p // 2 + 1), np.arange(self.q), np.arange(self.q)
        first, turn = _roots(self.p, k1, np.arange(self.p)), _roots(n, k1, b)
        self.register_buffer("first", _as_buffer(np.concatenate([first.real, first.imag])))
        self.register_buffer("turn_real", _as_buffer(turn.real))
        self.register_buffer("turn_imaginary", _as_buffer(turn.imag))
        self.register_buffer("second", _as_buffer(_complex_product(_roots(self.q, b, k2))))
        frequency = (k1[:, None] + self.p * k2).ravel()
        place = np.empty(n // 2 + 1, dtype=np.int64)
        place[np.minimum(frequency, n - frequency)] = np.arange(len(frequency))
        self.register_buffer("place", torch.from_numpy(place))

    def forward(self, signal: Tensor) -> Tensor:
        """Magnitudes (M, n // 2 + 1) of signals (M, n)."""
        inner = self.first @ signal.reshape(-1, self.p, self.q)  # (M, 2 H, q)
        real, imaginary = inner[:, : self.p // 2 + 1], inner[:, self.p // 2 + 1 :]
        turned = torch.cat(
            [
                real * self.turn_real - imaginary * self.turn_imaginary,
                real * self.turn_imaginary + imaginary * self.turn_real,
            ],
            dim=2,
        )
        squared = (turned @ self.second).square()
        power = squared[..., : self.q] + squared[..., self.q :]  # (M, H, q)
        return power.flatten(1)[:, self.place].sqrt()
