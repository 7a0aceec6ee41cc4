"""`skasd export`: a model file as ONNX files, which need no Python."""

import re
from pathlib import Path
from typing import Any

from skasd.persistence import load


def run_export(model: Path, out: Path, machine: str | None, *, verbose: int) -> str:
    """Export one machine to a file, or each machine to a file in a folder; return what was written."""
    from skasd.export import to_onnx

    loaded = load(model)
    lines = []
    for name, path, detector in _chosen(loaded, model, out, machine):
        parity = to_onnx(detector, path, machine=None if isinstance(loaded, dict) else machine)
        what = f"{path} was written{f' for {name}' if name else ''}: {path.stat().st_size / 2**20:.1f} MiB"
        lines.append(
            f"{what}; on {parity.n_clips} synthetic clips, scores differ by at most {parity.largest_difference:.2g}, and "
            f"{parity.n_decisions} decisions differ."
        )
    return "\n".join(lines)


def _chosen(loaded: Any, model: Path, out: Path, machine: str | None) -> list[tuple[str, Path, Any]]:
    """Name, file and detector of each export."""
    if not isinstance(loaded, dict):
        if out.is_dir():
            raise ValueError(f"--out={out} is a folder; it must name a file, such as {out / 'model.onnx'}.")
        return [(machine or "", out, loaded)]
    if machine is not None:
        if machine not in loaded:
            raise ValueError(f"--machine={machine} is not in {model}; its machines are {', '.join(loaded)}.")
        return [(machine, out, loaded[machine])]
    if out.is_dir():
        return [(name, out / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}.onnx", part) for name, part in loaded.items()]
    if len(loaded) > 1:
        raise ValueError(
            f"{model} has the machines {', '.join(loaded)}; choose one with --machine, or let --out name a folder that "
            "exists, which gets a file for each."
        )
    return [(name, out, part) for name, part in loaded.items()]
