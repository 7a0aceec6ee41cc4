"""What the accuracy benchmarks share: where real recordings are, result rows, and tables in pages of the guide."""

import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def real_data():
    """Folder of the real recordings."""
    return Path(os.environ.get("SKASD_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def environment(*packages):
    """Date, commit and versions of these packages."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("skasd", *packages)},
    }


def append(path, row, shared):
    """Write a row to a file of JSON lines, its numbers to five digits."""
    rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
    with path.open("a") as file:
        file.write(json.dumps({**rounded, **shared}) + "\n")


def list_table(head, rows):
    """A table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for cells in (head, *rows):
        lines += [f"   {'* -' if index == 0 else '  -'} {cell}".rstrip() for index, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def mean_and_spread(values, digits=3):
    """Mean ± standard deviation, the latter where there are several values; nothing of none."""
    if values.isna().all():
        return ""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def fill_in(page, name, text):
    """Replace what stands between the marks of a table."""
    before, start, rest = page.read_text().partition(f".. measured {name}\n")
    _, end, after = rest.partition(f"\n.. end of {name}\n")
    if not start or not end:
        raise SystemExit(f"{page} has no marks '.. measured {name}' and '.. end of {name}'.")
    page.write_text(before + start + "\n" + text + end + after)
