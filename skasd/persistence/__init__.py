"""Model files: what was fitted, kept in one file that is read without running anything it says."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.persistence._description import describe
    from skasd.persistence._model_file import load, save

__all__ = ["describe", "load", "save"]

__getattr__ = imported_when_used(
    __name__,
    {
        "describe": "_description",
        "load": "_model_file",
        "save": "_model_file",
    },
)


def __dir__() -> list[str]:
    return __all__
