# SPDX-License-Identifier: Apache-2.0
"""The training process as its parent sees it: events, and one line when it fails."""

from __future__ import annotations

import pytest

from tfs_deploy.demo.train import emit
from tfs_deploy.demo.training_process import train
from tfs_deploy.errors import EnvironmentFault


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "reference").write_text("in the way")
    with pytest.raises(EnvironmentFault) as caught:
        list(train(tmp_path, tmp_path / "training.log"))
    assert caught.value.message == f"training failed: {tmp_path / 'reference'}: File exists"
    assert caught.value.hint
    log = (tmp_path / "training.log").read_text()
    assert "Traceback" in log
    assert "FileExistsError" in log


def test_the_process_ends_with_the_iterator(tmp_path):
    events = train(tmp_path, tmp_path / "training.log")
    first = next(events)
    assert (first["event"], first["epoch"]) == ("epoch", 1)
    events.close()
    assert not (tmp_path / "models").exists()


def test_events_are_json_lines(capsys):
    emit("epoch", model="m", epoch=1)
    assert capsys.readouterr().out == '{"event": "epoch", "model": "m", "epoch": 1}\n'
