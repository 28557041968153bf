"""REST addresses."""

from __future__ import annotations

import pytest

from tfs_deploy.client import RestClient
from tfs_deploy.client.rest.address import rest_base_url
from tfs_deploy.errors import (
    UsageError,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:8501", "http://localhost:8501"),
        ("models.internal", "http://models.internal:8501"),
        ("http://host", "http://host"),
        ("https://host/tfs/", "https://host/tfs"),
        ("[::1]:8501", "http://[::1]:8501"),
    ],
)
def test_rest_addresses(address, expected):
    assert rest_base_url(address) == expected


@pytest.mark.parametrize("address", ["ftp://host", "", "http://", "host:port", "http://host?x=1"])
def test_what_is_no_address(address):
    with pytest.raises(UsageError, match="not a valid HOST:PORT or http URL"):
        RestClient(address)
