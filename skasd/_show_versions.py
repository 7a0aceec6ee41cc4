"""What a bug report needs to know of the machine: versions, threads and devices."""

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from skasd._version import __version__

_WIDTH = 20  # of the longest name below
_TOOLS = {"test", "docs", "dev"}  # extras for those who work on skasd
_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "CUDA_VISIBLE_DEVICES")


def show_versions() -> None:
    """Print what a bug report should state: versions, the machine, threads and devices.

    Lists the installed versions of all dependencies, required and optional; the libraries for linear algebra that are in
    use, with their threads; and what torch finds to compute on. Nothing is sent anywhere, and names of files and folders
    are left out. ``skasd versions`` prints the same.

    Examples
    --------
    >>> import skasd
    >>> skasd.show_versions()
    skasd    ...
    python 3...
    platform ...
    <BLANKLINE>
    Dependencies
    numpy    ...
    """
    print(versions_text())  # noqa: T201


def versions_text() -> str:
    """Lines that `show_versions` prints."""
    required, optional = _dependencies()
    sections = {
        None: _system(),
        "Dependencies": [(name, _installed(name)) for name in required]
        or [("", "not known, as skasd was not installed but imported from a folder")],
        "Optional dependencies": [(name, _installed(name)) for name in optional],
        "Linear algebra and threads": [*_thread_pools(), *_settings()],
        "torch": _torch(),
    }
    blocks = []
    for heading, rows in sections.items():
        blocks.append(
            "\n".join([*filter(None, [heading]), *(f"{name:<{_WIDTH}} {value}".strip() for name, value in rows)])
        )
    return "\n\n".join(blocks)


def _system() -> list[tuple[str, str]]:
    return [
        ("skasd", __version__),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("platform", platform.platform()),
        ("processors", str(os.cpu_count())),
    ]


def _dependencies() -> tuple[list[str], list[str]]:
    """Names of required and of optional packages, as the installed package states them; those of its developers excepted."""
    required: list[str] = []
    optional: list[str] = []
    for requirement in _requirements():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra *== *['\"]([\w-]+)['\"]", requirement)
        if extra is None:
            required.append(name)
        elif extra[1] not in _TOOLS:
            optional.append(name)
    return required, sorted(set(optional) - set(required))


def _requirements() -> list[str]:
    try:
        return requires("skasd") or []
    except PackageNotFoundError:
        return []


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _thread_pools() -> Iterator[tuple[str, str]]:
    import scipy.linalg  # noqa: F401  # only libraries that are loaded are found
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import threadpool_info

    pools = {
        (pool["internal_api"], str(pool["version"] or ""), pool.get("architecture") or "", pool["num_threads"])
        for pool in threadpool_info()
    }
    for name, number, architecture, n_threads in sorted(pools):
        yield name, ", ".join(filter(None, [number, architecture, f"threads: {n_threads}"]))


def _settings() -> Iterator[tuple[str, str]]:
    for name in _SETTINGS:
        if name in os.environ:
            yield name, os.environ[name]


def _torch() -> list[tuple[str, str]]:
    try:
        import torch
    except ModuleNotFoundError:
        return [("", "not installed, so detectors with networks cannot be used")]
    except (ImportError, OSError) as error:  # of a library that does not load, which is what a report is about
        return [("", f"cannot be imported: {error}")]
    rows = [("threads", f"{torch.get_num_threads()}, and {torch.get_num_interop_threads()} between operations")]
    if not torch.accelerator.is_available():
        return [*rows, ("accelerator", "none found")]
    kind, n_devices = torch.accelerator.current_accelerator(), torch.accelerator.device_count()
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(n_devices))
        return [*rows, ("accelerator", f"{kind}: {names}"), ("CUDA", f"{torch.version.cuda or torch.version.hip}")]
    return [*rows, ("accelerator", f"{kind}: {n_devices}")]
