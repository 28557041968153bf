# SPDX-License-Identifier: Apache-2.0
"""The grammar of REST paths."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.server.rest.routes import BadUrlError, Route, VersionTooBigError, parse_route


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/models/m:predict", Route("predict", "m", None, None)),
        ("POST", "/v1/models/m/versions/007:classify", Route("classify", "m", 7, None)),
        ("POST", "/v1/models/m/labels/a%20b:regress", Route("regress", "m", None, "a b")),
        ("POST", "/V1/MODELS/m:predict", Route("predict", "m", None, None)),
        ("GET", "/v1/models/m", Route("status", "m", None, None)),
        ("GET", "/v1/models/m%2Fn", Route("status", "m/n", None, None)),
        ("GET", "/v1/models/m/versions/0/metadata", Route("metadata", "m", 0, None)),
        ("GET", "/v1/models/m/METADATA", Route("status", "m", None, None)),
        ("GET", "/v1/models/m?x=1", Route("status", "m?x=1", None, None)),
        ("GET", "/v1/models/m/versions/9223372036854775807", Route("status", "m", 2**63 - 1, None)),
    ],
)
def test_routes(method: str, path: str, expected: Route) -> None:
    assert parse_route(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m/versions/1/labels/a:predict"),
        ("POST", "/v1/models/m/versions/-1:predict"),
        ("POST", "/v1/models/:predict"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/m/"),
        ("PUT", "/v1/models/m:predict"),
        ("GET", "/v1/models/m/versions/\u0661"),
    ],
)
def test_malformed(method: str, path: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_route(method, path)
    assert caught.value.message == f"Malformed request: {method} {path}"


def test_other_refusals() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^Missing model name in request\.$"):
        parse_route("GET", "/v1/models")
    with pytest.raises(BadUrlError):
        parse_route("GET", "/v1/models/%zz")
    with pytest.raises(VersionTooBigError):
        parse_route("GET", "/v1/models/m/versions/9223372036854775808")


@given(st.sampled_from(["GET", "POST"]), st.text(alphabet="v1/models:%20prdict?&=ä", max_size=40))
def test_any_path_is_a_route_or_one_of_the_known_refusals(method: str, path: str) -> None:
    with contextlib.suppress(InvalidArgumentError, BadUrlError, VersionTooBigError):
        parse_route(method, path)
