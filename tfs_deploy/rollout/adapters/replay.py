# SPDX-License-Identifier: Apache-2.0
"""Requests at hand, sent to two labels to compare the answers."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.client.routing.comparison import Difference, differences
from tfs_deploy.codec import decode_predict_request
from tfs_deploy.errors import ModelError, StatusError, UsageError
from tfs_deploy.rollout.gates.request_stats import OutputComparison
from tfs_deploy.savedmodel.formats.numpy_files import read_npz
from tfs_deploy.savedmodel.formats.tfrecord import read_records
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.versions import find_version
from tfs_deploy.savedmodel.warmup import read_warmup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Model

#: requests that are replayed for one judgement
MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its signature and inputs."""

    signature: str | None
    inputs: Mapping[str, NDArray[Any]]


class Replay:
    """Sends the requests at hand to two labels and compares the answers.

    They are those of ``file`` if it is not empty, else those recorded with ``versions``.
    """

    def __init__(
        self, client: Predictor, model: Model, versions: Sequence[int], file: str = "", most: int | None = None
    ) -> None:
        self._client = client
        self._model = model
        self._versions = versions
        self._file = file
        self._most = most

    @functools.cached_property
    def requests(self) -> list[Request]:
        """The requests; raises ``UsageError`` for a file that holds none."""
        if self._file:
            return requests_in_file(Path(self._file))[: self._most]
        return requests_at_hand(self._model.base_path, self._versions)[: self._most]

    def first(self, count: int) -> Replay:
        """Return the same with at most ``count`` requests."""
        return Replay(self._client, self._model, self._versions, self._file, count)

    def __call__(self, stable: str, canary: str) -> dict[str, OutputComparison]:
        """Send the requests to both labels and return the comparison by output."""
        return compare_labels(self._client, self._model.name, self.requests, stable, canary)


def requests_at_hand(base_path: Path, versions: Iterable[int]) -> list[Request]:
    """Return the requests recorded with versions: those of their goldens and warmup files."""
    found: list[Request] = []
    for version in versions:
        with contextlib.suppress(ModelError):  # preflight reports it
            folder = find_version(base_path, version).path
            found += [Request(golden.signature, golden.inputs) for golden in read_goldens(folder)]
            found += _logged(read_warmup(folder))
    return found[:MOST]


def requests_in_file(path: Path) -> list[Request]:
    """Read requests from a file: TFRecord of PredictionLog as a warmup file, or ``.npz`` with an array for each input.

    Each row of an ``.npz`` file is one request to the default signature. Raises ``UsageError``.
    """
    from google.protobuf.message import DecodeError

    from tfs_deploy import protos

    try:
        if path.suffix == ".npz":
            return _rows(path)
        return list(_logged(protos.PredictionLog.FromString(record) for record in read_records(path)))[:MOST]
    except (OSError, EOFError, TypeError, ValueError, ModelError, DecodeError) as error:
        hint = "give .npz with an array for each input, or TFRecord of PredictionLog as a warmup file has"
        raise UsageError(f"{path} holds no requests: {' '.join(str(error).split())}", hint=hint) from error


def compare_labels(
    client: Predictor, model: str, requests: Sequence[Request], stable: str, canary: str
) -> dict[str, OutputComparison]:
    """Send the requests to both labels and average the differences by output; a refused answer does not agree.

    A request that ``stable`` refuses is left out. Raises ``StatusError`` when the server does not answer.
    """
    sums: dict[str, list[Difference]] = {}
    for request in requests:
        try:
            expected = client.predict(model, request.inputs, signature=request.signature, label=stable).outputs
        except StatusError as error:
            if error.retriable:
                raise
            continue
        for output, difference in _against(client, model, request, canary, expected).items():
            sums.setdefault(output, []).append(difference)
    return {output: _mean(found) for output, found in sums.items()}


def _against(
    client: Predictor, model: str, request: Request, canary: str, expected: Mapping[str, NDArray[Any]]
) -> dict[str, Difference]:
    try:
        actual = client.predict(model, request.inputs, signature=request.signature, label=canary).outputs
    except StatusError as error:
        if error.retriable:
            raise
        return {output: Difference(1.0, 0.0) for output in expected}
    return differences(expected, actual)


def _mean(found: Sequence[Difference]) -> OutputComparison:
    count = len(found)
    distance = sum(difference.distance for difference in found) / count
    agreement = sum(difference.agreement for difference in found) / count
    return OutputComparison(count, distance, agreement, sum(difference.broken for difference in found))


def _logged(logs: Iterable[Any]) -> Iterator[Request]:
    for log in logs:
        if log.WhichOneof("log_type") == "predict_log":
            call = decode_predict_request(log.predict_log.request.SerializeToString())
            yield Request(call.signature or None, call.inputs)


def _rows(path: Path) -> list[Request]:
    with path.open("rb") as file:
        inputs = read_npz(file)
    count = min(len(array) for array in inputs.values())
    return [
        Request(None, {name: array[row : row + 1] for name, array in inputs.items()}) for row in range(min(count, MOST))
    ]
