"""Line charts as inline SVG: their colours come from the page's style sheet, so they are right in dark and in light."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 34
BINS = 240  # points a curve is drawn with; longer ones are averaged, their range shaded
NUM_COLOURS = 6  # in the style sheet


@dataclass(frozen=True)
class Curve:
    """One line: values ``y`` over rounds ``x``, of equal length."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class _Axes:
    """Maps values to pixels; ``log`` is of the vertical axis."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log: bool

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        value = math.log10(value) if self.log else value
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def line_chart(
    title: str, curves: Sequence[Curve], *, levels: Sequence[tuple[str, float]] = (), mark: tuple[str, float] | None = None, share: bool = False
) -> str:
    """A figure of curves over rounds, with its legend and each curve's last value.

    Args:
        title: what is shown.
        curves: with at least one point each.
        levels: dashed horizontal lines, such as the floor: (what it is, value).
        mark: a vertical line: (what it is, round).
        share: the values are shares of one: the vertical axis runs from 0 to at least 1.
    Returns:
        HTML. The vertical axis is logarithmic where all values are positive and span more than a factor of 30; the title says so.
    """
    axes = _axes(curves, [value for _, value in levels], share)
    parts = [_grid(axes)]
    for index, line in enumerate(curves):
        parts.append(_draw(line, axes, f"c{index % NUM_COLOURS}"))
    for _, value in levels:
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axes.y(value):.1f}" y2="{axes.y(value):.1f}"/>')
    if mark is not None and axes.x_range[0] <= mark[1] <= axes.x_range[1]:
        parts.append(f'<line class="mark" x1="{axes.x(mark[1]):.1f}" x2="{axes.x(mark[1]):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    legend = [f'<span><i class="c{i % NUM_COLOURS}"></i>{escape(line.name)} <b>{number(line.y[-1])}</b></span>' for i, line in enumerate(curves)]
    legend += [f'<span><i class="level"></i>{escape(name)} <b>{number(value)}</b></span>' for name, value in levels]
    legend += [f'<span><i class="mark"></i>{escape(mark[0])}</span>'] if mark is not None else []
    caption = escape(title) + (" (logarithmic)" if axes.log else "")
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">{"".join(parts)}</svg>'
    return f'<figure class="chart"><figcaption>{caption}</figcaption>{svg}<div class="legend">{"".join(legend)}</div></figure>'


def number(value: float) -> str:
    """A number as a reader wants it.

    >>> [number(x) for x in (0, 0.98765, 12.3456, 1234567, 0.000012, -3)]
    ['0', '0.988', '12.3', '1,234,567', '1.2e-05', '-3']
    """
    if value == round(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value:.3g}"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about ``count`` of them.

    >>> ticks(0, 10), ticks(0.13, 0.41)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [0.2, 0.3, 0.4])
    """
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def _axes(curves: Sequence[Curve], levels: Sequence[float], share: bool) -> _Axes:
    """Ranges that hold all curves and levels, with some air."""
    xs = [x for line in curves for x in (min(line.x), max(line.x))]
    ys = np.array([y for line in curves for y in line.y] + list(levels))
    log = bool(ys.min() > 0 and ys.max() > 30 * ys.min()) and not share
    ys = np.log10(ys) if log else ys
    low, high = float(ys.min()), float(ys.max())
    if share:
        low, high = min(low, 0.0), max(high, 1.0)
    air = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    x_low, x_high = min(xs), max(xs)
    return _Axes((x_low, x_high if x_high > x_low else x_low + 1), (low - air, high + air), log)


def _grid(axes: _Axes) -> str:
    """Horizontal lines and the numbers of both axes."""
    parts = []
    for value, label in _y_ticks(axes):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for value in ticks(*axes.x_range):
        parts.append(f'<text x="{axes.x(value):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{number(value)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">round</text>')
    return "".join(parts)


def _y_ticks(axes: _Axes) -> list[tuple[float, str]]:
    low, high = axes.y_range
    if not axes.log:
        return [(value, number(value)) for value in ticks(low, high, 7)]
    factors = (1,) if high - low > 3 else (1, 2, 5)
    values = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    return [(value, number(value)) for value in values if low <= math.log10(value) <= high]


def _draw(line: Curve, axes: _Axes, colour: str) -> str:
    """One curve; a long one as the mean of each bin over the shaded range of its values."""
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    if len(x) == 1:
        return f'<circle class="{colour}" cx="{axes.x(x[0]):.1f}" cy="{axes.y(y[0]):.1f}" r="3.5"/>'
    shade = ""
    if len(x) > 2 * BINS:
        bins = [(part.start, part.stop) for part in _parts(len(x))]
        lows, highs = [y[a:b].min() for a, b in bins], [y[a:b].max() for a, b in bins]
        x, y = np.array([x[a:b].mean() for a, b in bins]), np.array([y[a:b].mean() for a, b in bins])
        around = _points(x, np.array(highs), axes) + " " + _points(x[::-1], np.array(lows)[::-1], axes)
        shade = f'<polygon class="{colour} shade" points="{around}"/>'
    dots = (
        "".join(f'<circle class="{colour}" cx="{axes.x(a):.1f}" cy="{axes.y(b):.1f}" r="2.5"/>' for a, b in zip(x, y, strict=True))
        if len(x) <= 30
        else ""
    )
    return f'{shade}<polyline class="{colour}" points="{_points(x, y, axes)}"/>{dots}'


def _parts(length: int) -> list[slice]:
    borders = np.linspace(0, length, BINS + 1).astype(int).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(borders)]


def _points(x: np.ndarray, y: np.ndarray, axes: _Axes) -> str:
    return " ".join(f"{axes.x(float(a)):.1f},{axes.y(float(b)):.1f}" for a, b in zip(x, y, strict=True))
