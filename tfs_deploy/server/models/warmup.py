# SPDX-License-Identifier: Apache-2.0
"""Replays a version's warmup file before it is served (servables/tensorflow/saved_model_warmup_util.cc)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.codec import decode_predict_request
from tfs_deploy.errors import DataLossError, InvalidArgumentError, ModelError, UnimplementedError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.tfrecord import read_records
from tfs_deploy.savedmodel.warmup import MAX_RECORDS
from tfs_deploy.server.inference.classification import run_classify
from tfs_deploy.server.inference.multi_inference import run_multi_inference
from tfs_deploy.server.inference.predict import run_predict
from tfs_deploy.server.inference.regression import run_regress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.server.inference.servable import ModelServable


def warm_up(servable: ModelServable, version_dir: Path, *, iterations: int = 1, check_method: bool = False) -> int:
    """Run every recorded request ``iterations`` times; return the number of records, 0 without a file.

    A record without a request is skipped. ``check_method`` compares the signature's method with the record's API.

    Raises:
        StatusError: the first record that cannot be read or answered; the version is not served.
    """
    path = version_dir / layout.WARMUP
    if not path.exists():
        return 0
    count = 0
    try:
        for record in read_records(path):
            run = _runner(servable, record, path, check_method=check_method)
            for _ in range(max(iterations, 1)):
                run()
            count += 1
            if count > MAX_RECORDS:
                raise InvalidArgumentError(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    except ModelError as error:
        raise DataLossError(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error
    return count


def _runner(servable: ModelServable, record: bytes, path: Path, *, check_method: bool) -> Callable[[], None]:
    try:
        log = protos.PredictionLog.FromString(record)
    except DecodeError as error:
        text = record.decode("utf-8", "replace")
        raise InvalidArgumentError(f"Failed to parse warmup record: {text} from {path}") from error
    kind = log.WhichOneof("log_type")
    if kind is None:
        return lambda: None
    if kind not in _RUNNERS:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise UnimplementedError(f"Unsupported log_type for warmup: {number}")
    return functools.partial(_RUNNERS[kind], servable, getattr(log, kind).request, check_method=check_method)


def _predict(servable: ModelServable, request: Any, *, check_method: bool) -> None:
    run_predict(servable, decode_predict_request(request.SerializeToString()), check_method=check_method)


def _classify(servable: ModelServable, request: Any, *, check_method: bool) -> None:
    run_classify(servable, request.model_spec.signature_name, request.input, check_method=check_method)


def _regress(servable: ModelServable, request: Any, *, check_method: bool) -> None:
    run_regress(servable, request.model_spec.signature_name, request.input, check_method=check_method)


def _multi_inference(servable: ModelServable, request: Any, *, check_method: bool) -> None:
    run_multi_inference(servable, request.tasks, request.input, check_method=check_method)


_RUNNERS: Final[dict[str, Callable[..., None]]] = {
    "predict_log": _predict,
    "classify_log": _classify,
    "regress_log": _regress,
    "multi_inference_log": _multi_inference,
}
