# SPDX-License-Identifier: Apache-2.0
"""The image that is proposed fits the TensorFlow that wrote the models."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from tfs_deploy.deployment.file.text_values import parse_release
from tfs_deploy.draft.found import Found, FoundModel
from tfs_deploy.draft.image import is_newer, proposed_image, release_of_models

PLAIN = Path(__file__).parents[2] / "data/verify/plain"


@pytest.mark.parametrize(
    ("release", "image", "older"),
    [
        (None, "tensorflow/serving:2.19.1", False),
        ((2, 16), "tensorflow/serving:2.19.1", False),
        ((2, 19), "tensorflow/serving:2.19.1", False),
        ((2, 20), "tensorflow/serving:2.20.0", False),
        ((2, 21), "tensorflow/serving:2.20.0", True),
    ],
)
def test_the_image_that_is_proposed(release, image, older):
    assert proposed_image(release) == image
    assert is_newer(release, image) is older
    assert is_newer(release, "own/image:1") is False


def test_the_release_of_what_was_found():
    written = release_of_models(Found("versions", "m", (FoundModel("m", PLAIN, (1,)),)))
    assert written is not None
    assert written == release_of_models(Found("savedmodel", str(PLAIN / "1")))
    assert written == release_of_models(Found("models.config", "c", document={"models": [{"base_path": str(PLAIN)}]}))
    assert release_of_models(Found("models.config", "c", document={"models": [{"base_path": "/nowhere"}]})) is None


def test_a_keras_file_is_written_by_the_tensorflow_that_is_installed():
    assert release_of_models(Found("keras", "m.keras")) == parse_release(metadata.version("tensorflow"))
