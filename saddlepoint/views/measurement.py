"""What a measurement is, and the table of those that have a name: see :mod:`saddlepoint.views.measurements`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor, nn

from saddlepoint.errors import UsageError, nearest
from saddlepoint.views.view import View

Zero = Literal["black", "grey"]
MEASUREMENTS: dict[str, Callable[..., nn.Module]] = {}


def measurement(name: str) -> Callable[[Any], Any]:
    """Enter a class or function, arguments -> module, into the table under a name that ``--measurement`` understands."""

    def enter(build: Any) -> Any:
        if name in MEASUREMENTS:
            raise ValueError(f"two measurements are named {name!r}")
        MEASUREMENTS[name] = build
        return build

    return enter


class Measurement(View):
    """y = f_theta(x), theta drawn anew for each sample and call.

    Args:
        zero: what 0 is, see the module.

    Attributes:
        zero, unit: x = zero + unit * u, where u is what is measured.
    """

    def __init__(self, zero: Zero = "black") -> None:
        super().__init__()
        if zero not in ("black", "grey"):
            raise UsageError(f"A measurement's zero is black or grey; {zero!r} came.")
        self.zero, self.unit = (-1.0, 2.0) if zero == "black" else (0.0, 1.0)

    def measured(self, x: Tensor) -> Tensor:
        """Images in the measurement's unit."""
        return (x - self.zero) / self.unit

    def image(self, u: Tensor) -> Tensor:
        """Back from the measurement's unit."""
        return u * self.unit + self.zero


def open_measurement(text: str) -> nn.Module:
    """A measurement by name, with its settings behind a colon.

    Raises:
        UsageError: for an unknown name or setting, or a value that it cannot have.

    >>> open_measurement("block-pixels:p=.9").scale
    10.000000000000002
    """
    from saddlepoint.views import measurements  # noqa: F401  (it enters its own)

    name, _, settings = text.partition(":")
    if name not in MEASUREMENTS:
        raise UsageError(f"There is no measurement {name!r}. {nearest(name, MEASUREMENTS)}")
    build = MEASUREMENTS[name]
    known = [*inspect.signature(build).parameters]
    values: dict[str, Any] = {}
    for each in filter(None, settings.split(",")):
        key, _, value = each.partition("=")
        if key not in known or not value:
            raise UsageError(f"{name} has the settings {', '.join(known) or 'none'}, written {name}:KEY=VALUE; {each!r} came.")
        values[key] = _number(value)
    return build(**values)


def _number(text: str) -> int | float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
