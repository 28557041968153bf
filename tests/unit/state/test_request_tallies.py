# SPDX-License-Identifier: Apache-2.0
"""The files in which consumers record their requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.state.request_tallies import class_end, latency_class


@given(st.floats(1e-6, 1e4))
def test_a_latency_is_in_its_class_and_a_class_is_narrow(seconds):
    number = latency_class(seconds)

    assert class_end(number - 1) * (1 - 1e-9) <= seconds <= class_end(number) * (1 + 1e-9) or number == 0
    assert class_end(number) / class_end(number - 1) < 1.1
