# SPDX-License-Identifier: Apache-2.0
"""The requests of the warmup file as cases: the model is known to accept them."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec import decode_predict_request
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.savedmodel.warmup import read_warmup
from tfs_deploy.verify.probing.cases import Case, rows_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo

#: records to read, and cases to make for one signature
_LOOKED_AT: Final = 200
_MOST: Final = 3
_FIELDS: Final = {"classify_log": "classify", "regress_log": "regress"}


def warmup_requests(version_dir: Path) -> list[tuple[str, dict[str, NDArray[Any]]]]:
    """Return signature and inputs of the warmup requests that can be read; lint reports damaged ones."""
    found: list[tuple[str, dict[str, NDArray[Any]]]] = []
    with contextlib.suppress(TfsDeployError):
        for log in itertools.islice(read_warmup(version_dir), _LOOKED_AT):
            found += _requests(log)
    return found


def warmup_cases(signature: SignatureInfo, requests: list[tuple[str, dict[str, NDArray[Any]]]]) -> list[Case]:
    """Return the first few requests for a signature that name all of its inputs."""
    own = [inputs for name, inputs in requests if name == signature.name and inputs.keys() == signature.inputs.keys()]
    return [
        Case(signature.name, f"warmup #{number}", inputs, rows_in(signature, inputs))
        for number, inputs in enumerate(own[:_MOST], 1)
    ]


def _requests(log: Any) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        call = decode_predict_request(log.predict_log.request.SerializeToString())
        yield call.signature or DEFAULT_SIGNATURE, dict(call.inputs)
    elif kind in _FIELDS:
        request = getattr(log, kind).request
        examples = request.input.example_list.examples
        records = np.empty(len(examples), object)
        records[:] = [example.SerializeToString() for example in examples]
        if len(records):
            yield request.model_spec.signature_name or DEFAULT_SIGNATURE, {"inputs": records}
