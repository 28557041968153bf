# SPDX-License-Identifier: Apache-2.0
"""A deployment in a container whose versions come out of a bucket (see ``support.store_scenarios``)."""

from __future__ import annotations

import pytest

from support.object_stores import seaweedfs
from support.store_scenarios import from_bucket_to_server

pytestmark = pytest.mark.docker


def test_a_rollout_brings_what_is_only_in_the_store_and_no_request_fails(image, models, tmp_path, monkeypatch):
    (tmp_path / "weed").mkdir()
    with seaweedfs(tmp_path / "weed") as store:
        for key, value in store.environment.items():
            monkeypatch.setenv(key, value)
        from_bucket_to_server(tmp_path, models / "zoo", f"{store.root}/zoo", {"image": image})
