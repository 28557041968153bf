# SPDX-License-Identifier: Apache-2.0
"""What the name of an image tells about the server in it."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.docker import Docker
from tfs_deploy.deployment.image import Image

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "stock", "release", "gpu", "moving"),
    [
        ("tensorflow/serving:2.19.1", True, (2, 19), False, False),
        ("tensorflow/serving:2.19.1-gpu", True, (2, 19), True, False),
        ("tensorflow/serving:2.19.1-devel-gpu", True, (2, 19), True, False),
        ("docker.io/tensorflow/serving:2.8.0", True, (2, 8), False, False),
        ("mirror.example:5000/hub/tensorflow/serving:2.8", True, (2, 8), False, False),
        ("tensorflow/serving", True, None, None, True),
        ("tensorflow/serving:latest-gpu", True, None, True, True),
        ("tensorflow/serving:nightly", True, None, False, True),
        (f"tensorflow/serving@{DIGEST}", True, None, None, False),
        (f"tensorflow/serving:latest@{DIGEST}", True, None, False, False),
        ("own/serving:2.19.1-gpu", False, None, None, False),
        ("localhost:5000/x:1", False, None, None, False),
        ("localhost:5000/x", False, None, None, True),
    ],
)
def test_what_a_name_tells(text, stock, release, gpu, moving):
    image = Image.parse(text)
    assert image is not None
    assert str(image) == text
    assert (image.stock, image.release, image.gpu, image.moving) == (stock, release, gpu, moving)


@pytest.mark.parametrize("text", ["", "A/b:1", "a b", "a:", "a@sha256:12", "a:1:2", "/a", "-x", "a:b@c", "https://a/b"])
def test_what_is_no_name(text):
    assert Image.parse(text) is None


def test_a_stated_release_wins():
    assert Docker("tensorflow/serving:2.19.1", serving_version=(2, 5)).release == (2, 5)
    assert Docker("own/image:2.19.1").release is None
