"""The microphone: a recorder that fills a folder, which is then watched as any other.

What was recorded is heard exactly once, whatever is killed, and can be played later; see :mod:`skasd.monitoring._watch`.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from skasd.clips._encode import flac_file

_BLOCK_SECONDS = 0.5
_PART = ".recording-"


@dataclass(frozen=True)
class Microphone:
    """A sound device.

    Parameters
    ----------
    device : int or str
        Its number or a part of its name, as ``python -m sounddevice`` lists them.
    sample_rate : int
        Sample rate in Hz; that of the device is used where it has no such rate.
    n_channels : int
        Number of channels.
    """

    device: int | str
    sample_rate: int
    n_channels: int

    def opened(self, warn: Callable[[str], None]) -> tuple[int, Iterator[np.ndarray]]:
        """Sample rate in Hz, and samples (n_frames, n_channels), int16, in blocks without an end.

        Parameters
        ----------
        warn : callable
            Takes a sentence if sound was lost.

        Raises
        ------
        ImportError
            If sounddevice is not installed.
        OSError
            If there is no such device, or it cannot be used.
        """
        try:
            import sounddevice
        except ImportError as error:
            raise ImportError("--device needs the package sounddevice: pip install 'skasd[live]'.") from error
        try:
            rate = self._rate(sounddevice)
            stream = sounddevice.InputStream(
                samplerate=rate, device=self.device, channels=self.n_channels, dtype="int16"
            )
        except (ValueError, sounddevice.PortAudioError) as error:
            raise OSError(f"The microphone {self.device} cannot be used: {error}.") from error
        return rate, self._blocks(sounddevice, stream, round(rate * _BLOCK_SECONDS), warn)

    def _rate(self, sounddevice: Any) -> int:
        try:
            sounddevice.check_input_settings(
                device=self.device, channels=self.n_channels, dtype="int16", samplerate=self.sample_rate
            )
        except sounddevice.PortAudioError:
            return round(sounddevice.query_devices(self.device, "input")["default_samplerate"])
        return self.sample_rate

    def _blocks(
        self, sounddevice: Any, stream: Any, n_frames: int, warn: Callable[[str], None]
    ) -> Iterator[np.ndarray]:
        try:
            with stream:
                while True:
                    samples, is_lost = stream.read(n_frames)
                    if is_lost:
                        warn(f"The microphone {self.device} lost sound, as this computer was busy.")
                    yield samples
        except sounddevice.PortAudioError as error:
            raise OSError(f"The microphone {self.device} was lost: {error}.") from error


def record(
    blocks: Iterable[np.ndarray], folder: Path, *, sample_rate: int, seconds: float, stop: threading.Event
) -> None:
    """Write samples to FLAC files in a folder, each under another name until it is whole.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_frames, n_channels), int16
        Samples.
    folder : Path
        Where to; what an earlier run left unfinished there is deleted.
    sample_rate : int
        In Hz.
    seconds : float
        Length of a file; it is longer by up to a block.
    stop : threading.Event
        Ends it after the next block.
    """
    for left in folder.glob(f"{_PART}*"):
        left.unlink(missing_ok=True)
    samples = iter(blocks)
    for first in samples:
        if stop.is_set() or not _write(first, samples, folder, sample_rate, seconds, stop):
            return


def _write(
    first: np.ndarray,
    blocks: Iterator[np.ndarray],
    folder: Path,
    sample_rate: int,
    seconds: float,
    stop: threading.Event,
) -> bool:
    """Write one file; return whether there is more to come."""
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}Z.flac"
    part, n_frames = folder / f"{_PART}{name}", len(first)
    with flac_file(part, sample_rate, first.shape[1]) as file:
        file.write(first)
        while n_frames < seconds * sample_rate and not stop.is_set():
            block = next(blocks, None)
            if block is None:
                break
            file.write(block)
            n_frames += len(block)
    part.rename(folder / name)
    return n_frames >= seconds * sample_rate and not stop.is_set()


class Recorder(threading.Thread):
    """Records beside the watch, and stops it if the microphone is lost.

    Parameters
    ----------
    microphone : Microphone
        What is recorded.
    folder : Path
        Where to.
    seconds : float
        Length of a recording.
    stop : threading.Event
        Ends the recorder, and is set by it at an error.
    warn : callable
        Takes a sentence if sound was lost.
    """

    def __init__(
        self,
        microphone: Microphone,
        folder: Path,
        seconds: float,
        stop: threading.Event,
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(daemon=True)
        self._folder, self._seconds, self._stop_event = folder, seconds, stop
        self._sample_rate, self._samples = microphone.opened(warn)
        self.error: Exception | None = None

    def run(self) -> None:
        """Record until `stop` is set."""
        try:
            record(
                self._samples,
                self._folder,
                sample_rate=self._sample_rate,
                seconds=self._seconds,
                stop=self._stop_event,
            )
        except Exception as error:  # told by the thread that watches
            self.error = error
        finally:
            self._stop_event.set()
