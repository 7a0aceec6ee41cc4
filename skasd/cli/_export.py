"""`skasd export`: a model file as ONNX files, which need no Python."""

import re
from pathlib import Path
from typing import Any

from skasd.cli._models import learnt_machines
from skasd.clips._machine_names import split_names
from skasd.persistence import load


def run_export(model: Path, out: Path, machine: str | None) -> str:
    """Export one machine to a file, or each machine to a file in a folder; return what was written."""
    from skasd.export import to_onnx

    lines = []
    for name, path, detector, learnt in _chosen(load(model), model, out, machine):
        parity = to_onnx(detector, path, machine=learnt)
        what = f"{path} was written{f' for {name}' if name else ''}: {path.stat().st_size / 2**20:.1f} MiB"
        lines.append(
            f"{what}; on {parity.n_clips} synthetic clips, scores differ by at most {parity.largest_difference:.2g}, and "
            f"{parity.n_decisions} decisions differ."
        )
    return "\n".join(lines)


def _chosen(loaded: Any, model: Path, out: Path, machine: str | None) -> list[tuple[str, Path, Any, str | None]]:
    """Name of each machine to export, its file, its detector, and its name within a detector of several machines."""
    machines = _machines(loaded)
    names = list(machines) if machine is None else [machine]
    if machine is not None and machine not in machines:
        raise ValueError(f"--machine={machine} is not in {model}; its machines are {', '.join(machines)}.")
    if not out.is_dir():
        if len(names) > 1:
            raise ValueError(
                f"{model} has the machines {', '.join(machines)}; choose one with --machine, or let --out name a folder "
                "that exists, which gets a file for each."
            )
        return [(names[0], out, *machines[names[0]])]
    files = {name: re.sub(r"[^\w.-]+", "_", name or "model") + ".onnx" for name in names}
    if len({file.casefold() for file in files.values()}) < len(files):
        raise ValueError(
            f"Names of machines in {model} give equal file names: {', '.join(names)}; export them by --machine."
        )
    return [(name, out / file, *machines[name]) for name, file in files.items()]


def _machines(loaded: Any) -> dict[str, tuple[Any, str | None]]:
    """Detector of each machine, and the name of the machine within a detector of several."""
    if isinstance(loaded, dict):
        return {name: (detector, None) for name, detector in loaded.items()}
    learnt = learnt_machines(loaded)
    names = ["/".join(filter(None, cells)) for cells in split_names(learnt)]
    if len(names) < 2:
        return {"": (loaded, None)} if not any(names) else {names[0]: (loaded, None)}
    return {name: (loaded, key) for name, key in zip(names, learnt, strict=True)}
