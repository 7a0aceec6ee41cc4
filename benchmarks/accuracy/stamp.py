"""What every result says of its origin: the day, the commit and the versions."""

import datetime
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path


@lru_cache(maxsize=1)
def stamp():
    """Date in UTC, commit of this checkout, and versions."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip() or None,
        "versions": {name: version(name) for name in ("skasd", "numpy", "scikit-learn", "torch")},
    }
