# SPDX-License-Identifier: Apache-2.0
"""How long a load may take."""

from __future__ import annotations

from tfs_deploy.verify.groups.load import load_timeout


def test_big_models_get_more_time():
    assert load_timeout(0) < load_timeout(10**10) < 300
