"""The recorder of a microphone, with blocks of samples in place of a sound card."""

import threading
from itertools import count

import numpy as np
import soundfile

from skasd.monitoring._microphone import record

RATE = 8000


def blocks(n_channels=1):
    """Blocks of a tenth of a second, each of its number."""
    return (np.full((RATE // 10, n_channels), number, dtype=np.int16) for number in count())


def stopping(samples, stop, after):
    for number, block in enumerate(samples):
        if number == after:
            stop.set()
        yield block


def test_files_have_every_sample_once_and_are_as_long_as_asked(tmp_path):
    stop = threading.Event()
    record(stopping(blocks(), stop, 25), tmp_path, sample_rate=RATE, seconds=1, stop=stop)
    files = list(tmp_path.iterdir())
    heard = sorted((soundfile.read(file, dtype="int16")[0] for file in files), key=lambda samples: samples[0])
    assert [len(samples) for samples in heard][:2] == [RATE, RATE]
    assert np.concatenate(heard)[:: RATE // 10].tolist() == list(range(len(np.concatenate(heard)) // (RATE // 10)))
    assert len(np.concatenate(heard)) >= 25 * RATE // 10
    assert {file.suffix for file in files} == {".flac"}


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    seen = []

    def looking():
        for block in blocks():
            seen.append([path.name.startswith(".") for path in sorted(tmp_path.iterdir())])
            if len(seen) == 15:
                return
            yield block

    (tmp_path / ".recording-left by a kill.flac").write_text("half")
    record(looking(), tmp_path, sample_rate=RATE, seconds=1, stop=threading.Event())
    assert seen[1:10] == [[True]] * 9
    assert seen[11:] == [[True, False]] * 4
    assert [path.name.startswith(".") for path in tmp_path.iterdir()] == [False, False]


def test_channels_are_kept(tmp_path):
    stop = threading.Event()
    record(stopping(blocks(2), stop, 3), tmp_path, sample_rate=RATE, seconds=1, stop=stop)
    (file,) = tmp_path.iterdir()
    assert soundfile.info(file).channels == 2
