# SPDX-License-Identifier: Apache-2.0
"""Bad candidates on the embedded server, each stopped by the gate that should stop it; stable never notices."""

from __future__ import annotations

import re

import numpy as np
import pytest

from support import rollout_scenarios


@pytest.mark.parametrize("kind", rollout_scenarios.BAD)
def test_a_bad_candidate_is_stopped_by_the_gate_for_it(shop, kind, tmp_path):
    rollout_scenarios.a_bad_candidate_is_stopped(shop, kind, tmp_path)


def test_the_servers_own_metrics_page_stops_a_candidate_that_raises(shop, consumers, cli):
    shop.add(2, like="raises", answers=np.array([2.5, 3.0, 0.5]))
    options = ["--steps", "100", "--bake", "5s", "--check-every", "1s", "--no-default-gates", "--gate", "metrics=1%"]

    with consumers(shop, draw=rollout_scenarios.draw):
        result = cli("rollout", "start", shop.file, *options)

    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert re.search(r"step 100 %: metrics gate: \d+ of \d+ requests failed, limit 1\.0%$", last), last
    assert shop.served() == ({"stable": 1}, [1])


def test_a_candidate_that_ends_the_server_is_out_and_the_outage_is_told(shop):
    rollout_scenarios.a_candidate_that_ends_the_server(shop)
