# SPDX-License-Identifier: Apache-2.0
"""The targets of a verification."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError
from tfs_deploy.verify.serving import traits_on, verification_targets


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


@pytest.mark.parametrize(
    ("images", "more", "release"),
    [
        ((), "", (2, 19)),
        (("tensorflow/serving:2.21.0",), "", (2, 21)),
        (("tensorflow/serving:2.21.0", "tensorflow/serving:2.18.0"), "", (2, 18)),
        (("own/image:1",), "", None),
        (("tensorflow/serving:2.21.0",), ", allow_newer_tensorflow: true", None),
    ],
)
def test_a_version_is_compared_with_the_release_of_the_images_that_are_asked_for(tmp_path, images, more, release):
    file = tmp_path / "a.yaml"
    docker = f"{{target: docker, docker: {{image: 'tensorflow/serving:2.19.1'{more}}}}}"
    file.write_text(f"name: a\nserver: {docker}\nmodels:\n  - {{name: m, base_path: m}}\n")
    deployment = load_deployment(file)
    assert traits_on(deployment, verification_targets(None, images, deployment)).release == release


def test_a_directory_is_compared_with_no_release():
    assert traits_on(None, verification_targets(None, ("tensorflow/serving:2.19.1",), None)).release is None
