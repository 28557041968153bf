# SPDX-License-Identifier: Apache-2.0
"""Texts of gRPC errors are cut at 1,024 bytes (model_servers/grpc_status_util.cc)."""

from __future__ import annotations

import pytest

from tfs_deploy.server.grpc.handlers import cut_text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024 + "...TRUNCATED"),
        ("é" * 512, "é" * 512),
        ("é" * 513, "é" * 512 + "...TRUNCATED"),
        # in the middle of a character
        ("xé" + "é" * 512, "x" + "é" * 511 + "\ufffd...TRUNCATED"),
        ("no \udcff UTF-8", "no \ufffd UTF-8"),
    ],
)
def test_cut(text: str, sent: str) -> None:
    assert cut_text(text) == sent
