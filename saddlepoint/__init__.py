"""saddlepoint: train, measure and understand generative adversarial networks.

The verbs of the command line are functions here: ``saddlepoint.train(...)``. They are fetched when first asked for, so that
``import saddlepoint`` costs nothing and loads no tensor library.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "bench",
    "check_data",
    "compare",
    "convert_data",
    "demo",
    "encode",
    "evaluate",
    "export",
    "foresee",
    "get_data",
    "import_weights",
    "info",
    "inpaint",
    "list",
    "reconstruct",
    "report",
    "resume",
    "sample",
    "study",
    "train",
    "translate",
]


class _Package(ModuleType):
    """A module whose verbs are not hidden by a room of the same name, such as ``saddlepoint.report``, when that room is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


if not TYPE_CHECKING:
    sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'saddlepoint' has no attribute {name!r}")
    return getattr(importlib.import_module("saddlepoint.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
