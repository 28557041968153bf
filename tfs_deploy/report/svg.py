"""Plots as SVG text: lines over time, and bars of phases. No script, no file beside the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 26
_UNITS: Final = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_PLOT: Final = WIDTH - _LEFT - _RIGHT


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, the CSS class that colours it, points (seconds, value).

    With ``steps`` a value holds until the next point.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a time line."""

    name: str
    style: str
    start: float
    end: float


def line_chart(title: str, unit: str, series: Sequence[Series], seconds: float, *, height: int = 170) -> str:
    """Draw lines over ``seconds``; the value axis begins at 0. Returns an empty text if there is no point to draw."""
    points = [point for entry in series for point in entry.points]
    if not points:
        return ""
    span = max(seconds, 1e-9)
    ticks = nice_ticks(max(value for _, value in points))
    top = ticks[-1]
    inner = height - _TOP - _BOTTOM

    def place(at: float, value: float) -> tuple[float, float]:
        return _LEFT + _PLOT * min(at / span, 1.0), _TOP + inner * (1 - value / top)

    parts = [_head(title, height)]
    for tick in ticks:
        y = place(0, tick)[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{unit}</text>')
    parts += _time_axis(span, height)
    for entry in series:
        if not entry.points:
            continue
        drawn = [place(at, value) for at, value in (_stairs(entry.points, span) if entry.steps else entry.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(
            f'<polyline class="line {entry.style}" points="{path}"><title>{escape(entry.name)}</title></polyline>'
        )
        if not entry.steps:
            dots = (f'<circle class="{entry.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in drawn)
            parts.extend(dots)
    return "\n".join([*parts, "</svg>"])


def bar_chart(title: str, bars: Sequence[Bar], seconds: float) -> str:
    """Draw one row of bars for each phase, in the order in which they began."""
    row, span = 20, max(seconds, 1e-9)
    height = _TOP + row * len(bars) + _BOTTOM
    parts = [_head(title, height)]
    for number, bar in enumerate(bars):
        y = _TOP + row * number
        x = _LEFT + 40 + (_PLOT - 40) * bar.start / span
        width = max(2.0, (_PLOT - 40) * (bar.end - bar.start) / span)
        text = f"{bar.name}: {bar.end - bar.start:.1f} s"
        parts.append(f'<text class="tick" x="{_LEFT + 34}" y="{y + 14}" text-anchor="end">{escape(bar.name)}</text>')
        parts.append(
            f'<rect class="{bar.style}" x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{row - 6}" rx="2">'
            f"<title>{escape(text)}</title></rect>"
        )
    parts += _time_axis(span, height, left=_LEFT + 40)
    return "\n".join([*parts, "</svg>"])


def nice_ticks(top: float) -> list[float]:
    """Return ticks from 0 to at least ``top``, four or so, at 1, 2 or 5 times a power of ten."""
    if not top > 0:
        return [0.0, 1.0]
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]


def _head(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
    )


def _time_axis(span: float, height: int, left: int = _LEFT) -> list[str]:
    """Write the time below a plot, in seconds, minutes or hours."""
    width = WIDTH - _RIGHT - left
    unit, size = next((unit, size) for unit, size in _UNITS if span >= 3 * size or unit == "s")
    texts = ((left + width * tick * size / span, f"{tick:g} {unit}") for tick in nice_ticks(span / size))
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
