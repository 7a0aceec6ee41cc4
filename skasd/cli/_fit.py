"""Detectors by name, with the settings that the commands use."""

from pathlib import Path
from typing import Any

from skasd.base import BaseDetector
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer


def check_out_folder(out: Path | None) -> None:
    """Raise early if `out` cannot be a folder."""
    if out is not None and out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out={out} is a file; it must be a folder.")


def make_detector(
    name: str, *, contamination: float | None = None, verbose: int, sample_rate: int = 16000, channel: int | str = 0
) -> BaseDetector:
    """Detector `name` with its default parameters."""
    # the default of both detectors, that of the TWFR paper
    frontend = LogMelTransformer(sample_rate, norm=None, mel_scale="htk", channel=channel, verbose=verbose)
    share = "auto" if contamination is None else contamination
    detectors: dict[str, Any] = {"statistics": StatisticsDetector, "twfr": TWFRDetector}
    return detectors[name](frontend=frontend, contamination=share, random_state=0)
