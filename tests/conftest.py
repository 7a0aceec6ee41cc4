import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("skasd", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("skasd")
torch.set_num_threads(1)  # on busy cores the common checks are many times slower with more
os.environ.setdefault(
    "LOKY_MAX_CPU_COUNT", "1"
)  # nor is n_jobs=-1 of joblib more than one thread, but with `two_cores`

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell sets it for jobs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def fixtures():
    """Folder of published numbers, file names and tiny score tables."""
    return FIXTURES


@pytest.fixture
def two_cores(monkeypatch):
    """A machine of two cores to joblib: `n_jobs=-1` is two threads."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")


@pytest.fixture(scope="session")
def real_data():
    """Folder of real recordings, or a skip with the reason."""
    named = os.environ.get("SKASD_REAL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "clips.csv").is_file():
        pytest.skip(f"real recordings not found in {folder}; set SKASD_REAL_DATA")
    return folder
