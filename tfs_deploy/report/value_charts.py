# SPDX-License-Identifier: Apache-2.0
"""Charts without a time axis, as SVG: a distribution, and values with their limits on a logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.time_charts import WIDTH, nice_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 26, 22, 26
_NAMES, _ROW = 330, 22
_BINS: Final = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one kind, ascending, and the CSS class that colours them."""

    name: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class LimitBar:
    """A value and its limit; neither is negative."""

    name: str
    value: float
    limit: float


def histogram(title: str, unit: str, samples: Sequence[Sample], *, marks: Sequence[tuple[str, float]] = ()) -> str:
    """Return a chart of how often values occur, in shares of each sample; ``marks``: names of places on the value axis.

    The axis ends at the 99.5th percentile; the last bar counts what lies beyond. Empty without values.
    """
    samples = [sample for sample in samples if sample.values]
    if not samples:
        return ""
    top = max([_quantile(sample.values, 0.995) for sample in samples] + [place for _, place in marks]) or 1.0
    ticks = nice_ticks(top)
    end, height = ticks[-1], 190
    inner, wide = height - _TOP - _BOTTOM, WIDTH - _LEFT - _RIGHT
    shares = [_shares(sample.values, end) for sample in samples]
    levels = nice_ticks(100 * max(max(each) for each in shares))
    parts = [_head(title, height)]
    for tick in levels:
        y = _TOP + inner * (1 - tick / levels[-1])
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g} %</text>')
    thick = wide / _BINS / len(samples)
    for number, (sample, each) in enumerate(zip(samples, shares, strict=True)):
        for bin_number, share in enumerate(each):
            if share:
                left, right = (end * (bin_number + side) / _BINS for side in (0, 1))
                text = f"{sample.name}: {left:.3g} to {right:.3g}{unit}, {100 * share:.1f} %"
                tall = max(inner * 100 * share / levels[-1], 0.8)
                parts.append(
                    f'<rect class="{sample.style}" x="{_LEFT + wide * bin_number / _BINS + number * thick:.1f}" '
                    f'y="{_TOP + inner - tall:.1f}" width="{max(thick - 0.6, 0.6):.1f}" height="{tall:.1f}">'
                    f"<title>{escape(text)}</title></rect>"
                )
    for tick in ticks:
        x = _LEFT + wide * tick / end
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{tick:g}{unit}</text>')
    for name, place in marks:
        x = _LEFT + wide * min(place / end, 1.0)
        parts.append(f'<line class="line mark" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + inner}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_TOP - 7}" text-anchor="middle">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def limits_chart(title: str, rows: Sequence[LimitBar]) -> str:
    """Return a chart of each value as a bar and its limit as a mark, on a logarithmic scale. Empty without rows."""
    if not rows:
        return ""
    numbers = [number for row in rows for number in (row.value, row.limit) if number > 0] or [1.0]
    low = math.floor(math.log10(min(numbers))) - 0.5
    high = max(math.ceil(math.log10(max(numbers))), low + 1)
    height, wide = _TOP + _ROW * len(rows) + _BOTTOM, WIDTH - _NAMES - _RIGHT

    def place(value: float) -> float:
        share = 0.0 if value <= 0 else (math.log10(value) - low) / (high - low)
        return _NAMES + wide * min(max(share, 0.0), 1.0)

    parts = [_head(title, height)]
    step = max(1, math.ceil((high - low) / 8))
    for power in range(math.ceil(low), math.floor(high) + 1, step):
        x = place(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">1e{power}</text>')
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number
        style = "bad" if row.value > row.limit else "good" if not row.value else "old"
        text = f"{row.name}: {row.value:.3g}, allowed {row.limit:.3g}"
        name = row.name if len(row.name) <= 48 else f"{row.name[:47]}\N{HORIZONTAL ELLIPSIS}"
        parts.append(f'<text class="tick" x="{_NAMES - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect class="{style}" x="{_NAMES}" y="{y + 4}" width="{max(place(row.value) - _NAMES, 2):.1f}" '
            f'height="{_ROW - 8}" rx="2"><title>{escape(text)}</title></rect>'
        )
        if not row.value:
            parts.append(f'<text class="tick good" x="{_NAMES + 8}" y="{y + 15}">equal</text>')
        x = place(row.limit)
        parts.append(f'<line class="line new" x1="{x:.1f}" y1="{y + 1}" x2="{x:.1f}" y2="{y + _ROW - 1}"/>')
    return "\n".join([*parts, "</svg>"])


def _shares(values: Sequence[float], end: float) -> list[float]:
    counts = [0] * _BINS
    for value in values:
        counts[min(int(_BINS * value / end), _BINS - 1)] += 1
    return [count / len(values) for count in counts]


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(int(share * len(values)), len(values) - 1)]


def _head(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
    )
