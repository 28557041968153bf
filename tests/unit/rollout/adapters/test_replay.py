# SPDX-License-Identifier: Apache-2.0
"""Requests at hand, sent to two labels."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.codec import PredictReply, encode_predict_request
from tfs_deploy.errors import InvalidArgumentError, UnavailableError, UsageError
from tfs_deploy.rollout.adapters.replay import MOST, Request, compare_labels, requests_at_hand, requests_in_file
from tfs_deploy.rollout.gates.request_stats import OutputComparison
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.warmup import write_warmup


class Versions:
    """Stands for a client: canary answers twice as much, refuses what is negative, and has NaN for 13."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def predict(self, model, inputs, *, signature=None, label=None):
        x = inputs["x"]
        if self.error is not None:
            raise self.error
        if label == "canary":
            if (x < 0).any():
                raise InvalidArgumentError("negative")
            x = np.where(x == 13, np.nan, x * 2).astype(np.float32)
        elif (x == 99).any():
            raise InvalidArgumentError("99")
        return PredictReply({"y": x}, model=model, version=1)


def request(*values: float) -> Request:
    return Request(None, {"x": np.array(values, np.float32)})


def test_answers_of_both_labels_are_compared_and_averaged():
    requests = [request(1.0), request(13.0), request(-1.0), request(99.0)]

    found = compare_labels(Versions(), "digits", requests, "stable", "canary")

    assert found == {"y": OutputComparison(3, (1.0 + 0.0 + 1.0) / 3, 0.0, 1)}


def test_a_server_that_cannot_be_asked_gives_no_numbers():
    client = Versions()
    client.error = UnavailableError("refused")
    with pytest.raises(UnavailableError):
        compare_labels(client, "digits", [request(1.0)], "stable", "canary")


def test_requests_recorded_with_versions(tmp_path):
    x = np.array([1.0, 2.0], np.float32)
    for version in (1, 2):
        folder = tmp_path / str(version)
        folder.mkdir()
        write_goldens(folder, [Golden("serving_default", {"x": x}, {"y": x})])
        write_warmup(folder, [encode_predict_request("digits", {"x": x + version}, signature="other")])

    found = requests_at_hand(tmp_path, (1, 2, 3))

    assert [entry.signature for entry in found] == ["serving_default", "other"] * 2
    np.testing.assert_array_equal(found[3].inputs["x"], x + 2)
    warmup = tmp_path / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert [entry.signature for entry in requests_in_file(warmup)] == ["other"]


def test_requests_out_of_an_array_file_are_its_rows(tmp_path):
    np.savez(tmp_path / "requests.npz", x=np.arange(1000.0).reshape(500, 2), n=np.arange(500))

    found = requests_in_file(tmp_path / "requests.npz")

    assert len(found) == MOST
    assert found[3].inputs["x"].tolist() == [[6.0, 7.0]]
    assert found[3].inputs["n"].tolist() == [3]


@pytest.mark.parametrize("content", [b"", b"nonsense that is no record at all", b"PK\x03\x04 nonsense", None])
def test_a_file_without_requests_is_refused(tmp_path, content):
    file = tmp_path / "requests.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="holds no requests"):
        requests_in_file(file)
