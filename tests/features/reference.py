"""Plain definitions, written from the formulas, slow and in float64."""

import numpy as np


def hz_to_mel(frequency, mel_scale):
    if mel_scale == "htk":
        return 2595 * np.log10(1 + frequency / 700)
    return 3 * frequency / 200 if frequency < 1000 else 15 + 27 * np.log(frequency / 1000) / np.log(6.4)


def mel_to_hz(mel, mel_scale):
    if mel_scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return 200 * mel / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)


def triangle(frequency, low, peak, high):
    if low < frequency <= peak:
        return (frequency - low) / (peak - low)
    return (high - frequency) / (high - peak) if peak < frequency < high else 0.0


def filterbank(sample_rate, n_fft, n_mels, f_min, f_max, norm, mel_scale):
    mels = np.linspace(hz_to_mel(f_min, mel_scale), hz_to_mel(f_max, mel_scale), n_mels + 2)
    corners = [mel_to_hz(mel, mel_scale) for mel in mels]
    bank = np.zeros((n_mels, n_fft // 2 + 1))
    for band in range(n_mels):
        low, peak, high = corners[band : band + 3]
        for bin_ in range(n_fft // 2 + 1):
            bank[band, bin_] = triangle(bin_ * sample_rate / n_fft, low, peak, high)
        if norm == "slaney":
            bank[band] *= 2 / (high - low)
    return bank


def log_mel(
    waveform, sample_rate=16000, n_fft=1024, win_length=None, hop_length=512, f_min=0.0, f_max=None, n_mels=128,
    power=2.0, norm="slaney", mel_scale="slaney", center=True, log="db", amin=1e-10, top_db=None,
):  # fmt: skip
    """Log-mel spectrogram by a loop over frames and an explicit Fourier sum; centred frames are padded by reflection."""
    win_length, f_max = win_length or n_fft, f_max or sample_rate / 2
    window = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    for n in range(win_length):
        window[start + n] = 0.5 * (1 - np.cos(2 * np.pi * n / win_length))
    if center:
        half = n_fft // 2
        waveform = np.concatenate([waveform[half:0:-1], waveform, waveform[-2 : -half - 2 : -1]])
    k, n = np.arange(n_fft // 2 + 1), np.arange(n_fft)
    fourier = np.exp(-2j * np.pi * (k[:, None] * n % n_fft) / n_fft)
    bank = filterbank(sample_rate, n_fft, n_mels, f_min, f_max, norm, mel_scale)
    columns = []
    for begin in range(0, len(waveform) - n_fft + 1, hop_length):
        spectrum = np.abs(fourier @ (waveform[begin : begin + n_fft] * window)) ** power
        columns.append(np.maximum(bank @ spectrum, amin))
    mel = np.array(columns).T
    if log == "natural":
        return np.log(mel)
    value = 20 / power * np.log10(mel)
    return value if top_db is None else np.maximum(value, value.max() - top_db)
