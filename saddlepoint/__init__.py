"""saddlepoint: train, measure and understand generative adversarial networks.

The verbs of the command line are functions here: ``saddlepoint.train(...)``. They are fetched when first asked for, so that
``import saddlepoint`` costs nothing and loads no tensor library.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "bench", "demo", "evaluate", "info", "list", "report", "resume", "sample", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'saddlepoint' has no attribute {name!r}")
    return getattr(importlib.import_module("saddlepoint.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
