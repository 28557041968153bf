# SPDX-License-Identifier: Apache-2.0
"""From a bucket to a server and on to the next version: what only the store has is pulled by the rollout."""

from __future__ import annotations

from support.store_scenarios import from_bucket_to_server


def test_a_rollout_brings_what_is_only_in_the_store_and_no_request_fails(weed, new_address, models, tmp_path):
    from_bucket_to_server(tmp_path, models / "zoo", new_address(weed))
