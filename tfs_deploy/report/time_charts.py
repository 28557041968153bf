# SPDX-License-Identifier: Apache-2.0
"""Charts over time, as SVG: lines, and bars of phases.

All charts have the same width and time axis, so that they line up below each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH: Final = 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 14, 18, 26
_UNITS: Final = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_PLOT: Final = WIDTH - _LEFT - _RIGHT
_ROW: Final = 22


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, the CSS class that colours it, and its points (seconds, value).

    With ``steps`` a value holds until the next point. ``dots``: the points that were measured; default: all.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    steps: bool = False
    dots: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a timeline."""

    name: str
    style: str
    start: float
    end: float


def line_chart(
    title: str,
    unit: str,
    series: Sequence[Series],
    seconds: float,
    *,
    height: int = 150,
    top: float = 0.0,
    bands: Sequence[Bar] = (),
) -> str:
    """Return a chart of lines over ``seconds``; the value axis reaches at least to ``top``. Empty without points.

    ``bands``: spans of time to shade.
    """
    points = [point for entry in series for point in entry.points]
    if not points:
        return ""
    span = max(seconds, 1e-9)
    ticks = nice_ticks(max(top, *(value for _, value in points)))
    inner = height - _TOP - _BOTTOM

    def place(at: float, value: float) -> tuple[float, float]:
        return _x(at, span), _TOP + inner * (1 - value / ticks[-1])

    parts = [_head(title, height), *_shades(bands, span, inner)]
    for tick in ticks:
        y = place(0, tick)[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{unit}</text>')
    parts += _time_axis(span, height)
    for entry in series:
        if not entry.points:
            continue
        drawn = [place(at, value) for at, value in (_stairs(entry.points, span) if entry.steps else entry.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        if entry.steps:
            floor = f"{drawn[-1][0]:.1f},{_TOP + inner} {drawn[0][0]:.1f},{_TOP + inner}"
            parts.append(f'<polygon class="area {entry.style}" points="{path} {floor}"/>')
        parts.append(
            f'<polyline class="line {entry.style}" points="{path}"><title>{escape(entry.name)}</title></polyline>'
        )
        parts += _dots(entry, unit, place)
    return "\n".join([*parts, "</svg>"])


def bar_chart(title: str, bars: Sequence[Bar], seconds: float) -> str:
    """Return a chart with one bar for each phase, in the order in which they began."""
    span = max(seconds, 1e-9)
    height = _TOP + _ROW * len(bars) + _BOTTOM
    parts = [_head(title, height)]
    for number, bar in enumerate(bars):
        y = _TOP + _ROW * number
        x, width = _x(bar.start, span), max(2.5, _PLOT * (bar.end - bar.start) / span)
        took = f"{bar.end - bar.start:.1f} s"
        beside = (x + width + 6, "start") if x + width < WIDTH - _RIGHT - 60 else (x - 6, "end")
        parts += [
            f'<line class="grid" x1="{_LEFT}" y1="{y + _ROW}" x2="{WIDTH - _RIGHT}" y2="{y + _ROW}"/>',
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(bar.name)}</text>',
            (
                f'<rect class="{bar.style}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 8}" rx="3">'
                f"<title>{escape(bar.name)}: {took}</title></rect>"
            ),
            f'<text class="tick" x="{beside[0]:.1f}" y="{y + 15}" text-anchor="{beside[1]}">{took}</text>',
        ]
    parts += _time_axis(span, height)
    return "\n".join([*parts, "</svg>"])


def nice_ticks(top: float) -> list[float]:
    """Return about four ticks from 0 to at least ``top``, at 1, 2 or 5 times a power of ten."""
    if not top > 0:
        return [0.0, 1.0]
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]


def _x(at: float, span: float) -> float:
    return _LEFT + _PLOT * min(max(at, 0.0) / span, 1.0)


def _head(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
    )


def _shades(bands: Sequence[Bar], span: float, inner: int) -> list[str]:
    """Return the shades of spans of time, with the names that fit."""
    parts = []
    for band in bands:
        x, width = _x(band.start, span), _x(band.end, span) - _x(band.start, span)
        parts.append(f'<rect class="band {band.style}" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{inner}"/>')
        if width > 8 * len(band.name):
            middle = x + width / 2
            name = escape(band.name)
            parts.append(f'<text class="tick" x="{middle:.1f}" y="{_TOP - 5}" text-anchor="middle">{name}</text>')
        edge = f'x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + inner}"'
        parts.append(f'<line class="edge" {edge}/>')
    return parts


def _dots(entry: Series, unit: str, place: Callable[[float, float], tuple[float, float]]) -> list[str]:
    """Return the measured points, each with its value as a tooltip."""
    if entry.steps:
        return []
    parts = []
    for at, value in entry.points if entry.dots is None else entry.dots:
        x, y = place(at, value)
        tooltip = escape(f"{entry.name}, {at:.1f} s: {value:.3g}{unit}")
        parts.append(f'<circle class="{entry.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{tooltip}</title></circle>')
    return parts


def _time_axis(span: float, height: int) -> list[str]:
    """Return the labels of the time axis, in seconds, minutes or hours."""
    unit, size = next((unit, size) for unit, size in _UNITS if span >= 3 * size or unit == "s")
    texts = ((_LEFT + _PLOT * tick * size / span, f"{tick:g} {unit}") for tick in nice_ticks(span / size))
    return [
        f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{text}</text>'
        for x, text in texts
        if x <= WIDTH - _RIGHT
    ]


def _stairs(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    drawn: list[tuple[float, float]] = []
    for at, value in points:
        if drawn:
            drawn.append((at, drawn[-1][1]))
        drawn.append((at, value))
    return [*drawn, (end, drawn[-1][1])]
