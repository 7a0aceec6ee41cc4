import shutil

import numpy as np
import pytest
import soundfile

import skasd
from skasd.detectors import TWFRDetector
from tests.cli.watching import LEARNING, Hall, sound, write_learning_sound


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


@pytest.fixture(scope="session")
def watch_model(tmp_path_factory):
    """A model file of one machine without a name."""
    detector = TWFRDetector().fit(np.stack([sound(number) for number in range(1000, 1040)]))
    path = tmp_path_factory.mktemp("model") / "m.skasd"
    skasd.save(detector, path)
    return path


@pytest.fixture
def hall(tmp_path, watch_model):
    """A folder to watch."""
    return Hall(tmp_path, watch_model)


@pytest.fixture(scope="session")
def learnt(tmp_path_factory, watch_model):
    """A database whose learning period has ended."""
    root = tmp_path_factory.mktemp("learnt")
    hall = Hall(root, watch_model)
    write_learning_sound(root / "learnt")
    hall.folder = root / "learnt"
    done = hall.once(*LEARNING)
    assert done.returncode == 0
    assert done.stderr.startswith("skasd: the threshold is "), done.stderr
    return hall.database


@pytest.fixture
def watched(hall, learnt):
    """A folder to watch, with a threshold."""
    shutil.copy(learnt, hall.database)
    return hall
