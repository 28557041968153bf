# SPDX-License-Identifier: Apache-2.0
"""Distributions and values with their limits, as SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tfs_deploy.report.value_charts import LimitBar, Sample, histogram, limits_chart


def test_plots_draw_what_there_is():
    assert histogram("t", " ms", []) == ""
    assert histogram("t", " ms", [Sample("a", "old", [])]) == ""
    drawn = histogram("t", " ms", [Sample("a", "old", [0.0, 0.0])], marks=[("p50", 0.0)])
    ET.fromstring(drawn)
    both = histogram("t", " ms", [Sample("a<", "old", [1.0, 2.0, 500.0]), Sample("b", "new", [1.0])])
    assert {rect.attrib["class"] for rect in ET.fromstring(both).iter("{http://www.w3.org/2000/svg}rect")} == {
        "old",
        "new",
    }
    assert limits_chart("t", []) == ""
    bars = ET.fromstring(
        limits_chart("t", [LimitBar("in", 1e-9, 1e-6), LimitBar("out", 1e-3, 1e-6), LimitBar("0", 0, 0)])
    )
    styles = [rect.attrib["class"] for rect in bars.iter("{http://www.w3.org/2000/svg}rect")]
    assert styles == ["old", "bad", "good"]
    assert [text.text for text in bars.iter("{http://www.w3.org/2000/svg}text")].count("equal") == 1
