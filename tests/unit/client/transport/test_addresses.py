# SPDX-License-Identifier: Apache-2.0
"""The addresses of a client's servers."""

from __future__ import annotations

import pytest

from tfs_deploy.client import Client
from tfs_deploy.errors import (
    UsageError,
)


def test_no_target():
    with pytest.raises(UsageError, match="no address is given"):
        Client([])
