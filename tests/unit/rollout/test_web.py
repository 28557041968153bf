"""Fetching over HTTP."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.web import fetch


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "localhost:9090", ""])
def test_only_http_is_fetched(url):
    with pytest.raises(UsageError, match="is not a valid HTTP URL"):
        fetch(url)
