# SPDX-License-Identifier: Apache-2.0
"""The targets of a verification."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.verify.serving import verification_targets


@pytest.mark.parametrize(
    ("target", "images", "names"),
    [
        (None, (), ["embedded"]),
        (None, ("a:1", "b:2"), ["docker a:1", "docker b:2"]),
        ("docker", (), ["docker tensorflow/serving:2.19.1"]),
        ("localhost:8500/8501", (), ["localhost:8500/8501"]),
    ],
)
def test_targets(target, images, names):
    assert [each.name for each in verification_targets(target, images, None)] == names


def test_an_address_has_a_rest_port_or_none():
    assert verification_targets("h:1/2", (), None)[0].rest == "h:2"
    assert verification_targets("h:1", (), None)[0].rest is None
    for wrong in ("kubernetes", "h:", "h:1/x"):
        with pytest.raises(UsageError, match="unknown target: "):
            verification_targets(wrong, (), None)
    with pytest.raises(UsageError, match="--image needs the target docker"):
        verification_targets("embedded", ("a:1",), None)
