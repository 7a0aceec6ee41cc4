import numpy as np
import pytest
import soundfile


@pytest.fixture
def tone():
    """Half a second of a 440 Hz tone at 16 kHz, float32, on the grid of 16-bit PCM."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    return (np.round(wave * 2**15) / 2**15).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    """Write a waveform (n_timepoints,) or (n_timepoints, n_channels) to a new file and return its path."""

    def to_file(name, waveform, sample_rate=16000, **options):
        path = tmp_path / name
        soundfile.write(path, waveform, sample_rate, **options)
        return path

    return to_file
