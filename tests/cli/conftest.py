import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of normal recordings, and one normal and one quite different recording."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    (root / "normal").mkdir()
    for index in range(30):
        soundfile.write(root / "normal" / f"{index}.wav", 0.1 * rng.standard_normal(16000), 16000)
    (root / "new").mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    soundfile.write(root / "new" / "odd.wav", tone, 16000)
    soundfile.write(root / "new" / "stereo.wav", np.stack([tone, tone * 0], axis=1), 48000)
    return root
