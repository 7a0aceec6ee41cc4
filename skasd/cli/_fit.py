"""Detectors by name, as the commands fit them."""

from pathlib import Path
from typing import Any

from skasd.base import BaseDetector
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer


def check_out_folder(out: Path | None) -> None:
    """Raise before the work if `out` cannot become a folder."""
    if out is not None and out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out={out} is a file; it names a folder.")


def make_detector(
    name: str, *, contamination: float | None = None, verbose: int, sample_rate: int = 16000, channel: int | str = 0
) -> BaseDetector:
    """Detector `name` with its defaults."""
    # the front end of the TWFR paper
    frontend = LogMelTransformer(sample_rate, norm=None, mel_scale="htk", channel=channel, verbose=verbose)
    share = "auto" if contamination is None else contamination
    detectors: dict[str, Any] = {"twfr": TWFRDetector(frontend=frontend, contamination=share, random_state=0)}
    return detectors[name]
