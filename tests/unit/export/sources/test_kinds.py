# SPDX-License-Identifier: Apache-2.0
"""The table of sources: every row leads to a function, and paths are recognised without TensorFlow."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.export.sources.kinds import KINDS, detect, open_source


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_an_opener_and_is_recognised_somehow(name):
    kind = KINDS[name]
    assert callable(kind.load())
    assert kind.fits_path or kind.fits_object


@pytest.mark.parametrize(
    ("files", "given", "kind"),
    [
        (["saved_model.pb"], "", "savedmodel"),
        (["variables/variables.index"], "", "savedmodel"),
        (["3/saved_model.pbtxt"], "", "savedmodel"),
        (["m.keras"], "m.keras", "keras"),
        (["m.h5"], "m.h5", "keras"),
        (["ckpt.meta", "ckpt.index"], "", "checkpoint"),
        (["ckpt.meta", "ckpt.index"], "ckpt", "checkpoint"),
        (["frozen.pb"], "frozen.pb", "graphdef"),
    ],
)
def test_paths_are_recognised_by_what_they_hold(tmp_path, files, given, kind):
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert detect(tmp_path / given) == kind


def test_an_unknown_kind_is_told(tmp_path):
    with pytest.raises(UsageError, match="is not a kind of source"):
        open_source(tmp_path, "keros", None, ["serve"])
