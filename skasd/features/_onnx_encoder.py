"""Encoders in ONNX files, run by onnxruntime, which is imported nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def load_onnx(path: Path, device: torch.device) -> Callable[[torch.Tensor], dict[str, np.ndarray]]:
    """Read an ONNX file.

    Parameters
    ----------
    path : Path
        The file.
    device : torch.device
        Where it computes, the CPU or a CUDA device.

    Returns
    -------
    function : callable
        From a batch to the outputs of the graph, by name.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    ValueError
        If the file cannot be read, has more than one input, or the device is not there.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"encoder={str(path)!r} needs the package onnxruntime: pip install 'skasd[onnx]'.") from error
    provider = _PROVIDERS.get(device.type)
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(
            f"device={str(device)!r} is not available to onnxruntime, whose providers here are "
            f"{onnxruntime.get_available_providers()}; use device='cpu', or install onnxruntime-gpu."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    place: Any = (provider, {"device_id": device.index or 0}) if device.type == "cuda" else provider
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[place])
    except Exception as error:  # of a class of the C++ library
        raise ValueError(
            f"encoder={str(path)!r} cannot be read as an ONNX file ({type(error).__name__}: {error})."
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _DTYPES:
        listed = ", ".join(f"{one.name}: {one.type}" for one in inputs)
        raise ValueError(f"encoder={str(path)!r} has the inputs {listed}; one tensor of real numbers is expected.")
    return _Session(session, inputs[0].name, _DTYPES[inputs[0].type])


class _Session:
    """A session of onnxruntime as a function of one tensor."""

    def __init__(self, session: Any, name: str, dtype: Any) -> None:
        self._session = session
        self._name = name
        self._dtype = dtype
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, batch: torch.Tensor) -> dict[str, np.ndarray]:
        values = self._session.run(None, {self._name: batch.cpu().numpy().astype(self._dtype, copy=False)})
        return dict(zip(self._outputs, values, strict=True))
