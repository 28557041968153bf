# SPDX-License-Identifier: Apache-2.0
"""Predict on one servable (servables/tensorflow/predict_util.cc, tensorflow/cc/saved_model/util.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import FailedPreconditionError, InternalError, InvalidArgumentError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, PREDICT_METHOD, REGRESS_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.codec import PredictCall
    from tfs_deploy.server.inference.servable import ModelServable, ServedSignature

Array = np.ndarray[Any, Any]


def run_predict(
    servable: ModelServable, call: PredictCall, timeout: float | None = None, *, check_method: bool, api: str = ""
) -> dict[str, Array]:
    """Check a call against its signature, run it and return the outputs by alias.

    Args:
        servable: runs it.
        call: its model, version and label do not count here.
        timeout: in seconds.
        check_method: refuse a signature of another API, as with --enable_signature_method_name_check.
        api: what the run is counted as; nothing for warmup.

    Raises:
        StatusError: with the server's code and text.
    """
    signature, inputs = check_call(servable, call, check_method=check_method)
    feeds = {tensor: inputs[alias] for alias, tensor in signature.inputs.items()}
    wanted = call.output_filter
    aliases, fetches = filtered_outputs(signature, wanted) if wanted else signature.all_outputs
    return dict(zip(aliases, servable.run(feeds, fetches, api=api, timeout=timeout), strict=True))


def check_call(
    servable: ModelServable, call: PredictCall, *, check_method: bool
) -> tuple[ServedSignature, Mapping[str, Array]]:
    """Return the signature that a call means and the inputs to feed; their values are not looked at.

    Raises:
        StatusError: the signature is unknown or of another API, or the names of the inputs do not fit it.
    """
    signature = servable.signatures.get(call.signature or DEFAULT_SIGNATURE)
    if signature is None:
        raise FailedPreconditionError(f'Serving signature key "{call.signature or DEFAULT_SIGNATURE}" not found.')
    if check_method:
        check_predict_method(signature)
    inputs = call.inputs
    if inputs.keys() == signature.inputs.keys():
        return signature, inputs
    return signature, complete_inputs(signature, inputs)


def complete_inputs(signature: ServedSignature, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs with default values for those that the request lacks, or raise what does not fit."""
    wanted = signature.inputs
    extra = sorted(inputs.keys() - wanted.keys())
    missing = sorted(wanted.keys() - inputs.keys())
    if len(inputs) > len(wanted) or (len(inputs) < len(wanted) and not signature.defaults):
        raise InvalidArgumentError(
            f"input size does not match signature: {len(inputs)}!={len(wanted)} len({{{_join(inputs)}}}) != "
            f"len({{{_join(wanted)}}}). Sent extra: {{{_join(extra)}}}. Missing but required: {{{_join(missing)}}}."
        )
    for alias in (alias for alias in missing if alias not in signature.defaults):
        raise InvalidArgumentError(
            f"Signature input alias: {alias}(feed name: {wanted[alias]}) not found in request and no default value "
            f"provided. Inputs expected to be in the request {{{_join(inputs)}}}, or default input alias set: "
            f"{_join(signature.defaults)}"
        )
    if extra:
        seen = [alias for alias in inputs if alias in wanted]
        raise InvalidArgumentError(
            f"Inputs contains invalid name. Used request inputs: {_join(seen)}, request input: {_join(inputs)}"
        )
    return {**signature.defaults, **inputs}


def check_predict_method(signature: ServedSignature) -> None:
    """Refuse a signature of an unknown API, as with --enable_signature_method_name_check."""
    known = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
    if signature.info.method not in known:
        raise InternalError(
            f"Expected prediction signature method_name to be one of {{{', '.join(known)}}}. "
            f"Was: {signature.info.method}"
        )


def filtered_outputs(signature: ServedSignature, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the aliases and tensors of the outputs asked for."""
    for index, alias in enumerate(wanted):
        if alias not in signature.outputs:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_join(signature.outputs)}}}."
            )
        if alias in wanted[:index]:
            raise InvalidArgumentError(f"duplicate output tensor alias: {alias}")
    return list(wanted), [signature.outputs[alias] for alias in wanted]


def _join(names: object) -> str:
    return ",".join(sorted(names))  # type: ignore[call-overload]
