# SPDX-License-Identifier: Apache-2.0
"""The warmup file: TFRecord of PredictionLog that the server replays before a version becomes available.

Rules (g3doc/saved_model_warmup.md, saved_model_warmup_util.h): at most 1000 records; Predict, Classify, Regress and
MultiInference logs are replayed; any record that fails makes the load fail.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.tfrecord import count_records, read_records, write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_RECORDS: Final = 1000
#: request message -> field of PredictionLog that carries it
_LOG_FIELDS: Final = {
    "tensorflow.serving.PredictRequest": "predict_log",
    "tensorflow.serving.ClassificationRequest": "classify_log",
    "tensorflow.serving.RegressionRequest": "regress_log",
    "tensorflow.serving.MultiInferenceRequest": "multi_inference_log",
}


def prediction_log(request: Any) -> bytes:
    """Return the serialized PredictionLog of a request: a message, or a serialized PredictRequest as ``bytes``."""
    log = protos.PredictionLog()
    if isinstance(request, bytes):
        log.predict_log.request.ParseFromString(request)
        return bytes(log.SerializeToString())
    try:
        field = _LOG_FIELDS[request.DESCRIPTOR.full_name]
    except KeyError:
        raise TypeError(f"a {request.DESCRIPTOR.full_name} cannot warm up a model") from None
    getattr(log, field).request.ParseFromString(request.SerializeToString())
    return bytes(log.SerializeToString())


def write_warmup(version_dir: str | Path, requests: Iterable[Any]) -> Path:
    """Write the warmup file of a version; ``ModelError`` if there are more requests than the server accepts."""
    path = Path(version_dir, layout.WARMUP)
    records = [prediction_log(request) for request in requests]
    if len(records) > MAX_RECORDS:
        raise ModelError(
            f"{len(records)} warmup requests are more than the server accepts",
            hint=f"keep at most {MAX_RECORDS}; a few per signature and batch size warm up as well",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_records(path, records)
    return path


def read_warmup(version_dir: str | Path) -> Iterator[Any]:
    """Yield the PredictionLog messages of a version, none without a warmup file; ``ModelError`` if it is damaged."""
    from google.protobuf.message import DecodeError

    path = Path(version_dir, layout.WARMUP)
    if not path.exists():
        return
    number = 0
    try:
        for number, record in enumerate(read_records(path)):  # noqa: B007 (the error below names it)
            yield protos.PredictionLog.FromString(record)
    except DecodeError as error:
        raise ModelError(
            f"{path}: record {number} is not a PredictionLog",
            hint="the server fails to load a version with such a file",
        ) from error


def count_warmup(version_dir: str | Path) -> int | None:
    """Count the warmup records by their headers, ``None`` if the version has no warmup file."""
    path = Path(version_dir, layout.WARMUP)
    return count_records(path) if path.exists() else None
