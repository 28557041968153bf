# SPDX-License-Identifier: Apache-2.0
"""Group ``refusals``: requests with one error each are refused, and do no harm."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np

from tfs_deploy.client.options import DEFAULT_MAX_REPLY
from tfs_deploy.client.rest.address import rest_proxy
from tfs_deploy.client.rest.reply_bytes import ReplyBytes
from tfs_deploy.errors import Code, StatusError, UnavailableError
from tfs_deploy.extras import import_extra
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.text import parse_document
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import Case
from tfs_deploy.verify.probing.prober import CLEAN_REFUSALS, GRPC, LOCAL, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Judgement
    from tfs_deploy.verify.probing.prober import Prober
    from tfs_deploy.verify.served_version import ServedVersion

_UNKNOWN_MODEL: Final = "no_such_model"
_UNKNOWN_SIGNATURE: Final = "no_such_signature"
_UNKNOWN_INPUT: Final = "no_such_input"
_VERSION_OFFSET: Final = 1_000_003
#: the REST API's statuses for invalid requests (http_rest_api_handler.cc maps codes to these)
_CLEAN_HTTP: Final = (400, 404)


def verify_refusals(version: ServedVersion) -> None:
    """Send invalid requests to every signature that answers a valid one."""
    checker, prober, cases, signatures = version.checker, version.prober, version.cases, version.signatures
    if not checker.wants("refusals"):
        return
    answered = {
        name: next((case for case in cases[name] if case.inputs and prober.probe(case, GRPC).ok), None)
        for name in signatures
    }
    like = next((case for case in answered.values() if case is not None), None)
    if like is None:
        checker.record("refusals.model", "", skipped("no signature answered a valid request"))
        return
    for identity, send in _unknown_targets(prober, like):
        checker.check(identity, "over grpc", partial(_send_to_unknown, send))
    for name, case in answered.items():
        if case is None or prober.hangs(name):
            continue
        for identity, wrong in wrong_cases(signatures[name], case):
            checker.check(f"refusals.{identity}", f"{name}, over grpc", partial(_send_invalid, prober, wrong, identity))
    rest_address = version.endpoint.rest_address
    if rest_address is not None:
        for identity, path, body in wrong_bodies(prober.model, prober.version, like.signature):
            checker.check(f"refusals.{identity}", "over rest", partial(_over_rest, prober, rest_address, path, body))
    checker.check("refusals.unharmed", like.signature, lambda: _unharmed(prober, like))


def wrong_cases(signature: SignatureInfo, like: Case) -> Iterator[tuple[str, Case]]:
    """Yield the kind of each error, and a valid request with just that error."""
    first = next(iter(like.inputs))
    array, rest = like.inputs[first], {name: a for name, a in like.inputs.items() if name != first}
    renamed = {_UNKNOWN_INPUT: array, **rest}
    yield "input-name", _changed(like, "an unknown input", renamed)
    if first not in signature.defaults:
        yield "missing-input", _changed(like, "an input left out", rest)
    dtype = np.full(array.shape, b"text", object) if array.dtype.kind != "O" else np.ones(array.shape, np.float32)
    yield "dtype", _changed(like, "another dtype", {first: dtype, **rest})
    yield "shape", _changed(like, "another shape", {first: _misshapen(signature.inputs[first].shape, array), **rest})


def judge_refusal(answer: Answer, *, local: Answer | None = None, may_fit: bool = False) -> Judgement:
    """Judge the answer to an invalid request: it must be refused as invalid.

    With ``may_fit`` the graph may accept it, since the server does not compare shapes; then the code that TensorFlow
    itself gives (``local``) is right too.
    """
    if answer.ok:
        if may_fit:
            return skipped("the graph accepts this shape; the server does not compare shapes")
        return failed("an invalid request was answered")
    if answer.late:
        return failed(f"an invalid request was neither refused nor answered in time: {answer.reason}")
    if answer.lost:
        return failed(f"an invalid request broke the connection to the server: {answer.reason}")
    if isinstance(answer.error, StatusError) and answer.error.code in CLEAN_REFUSALS:
        return passed(f"refused: {answer.reason}")
    if may_fit and local is not None and not local.ok and _code(local) is _code(answer):
        return passed(f"refused with TensorFlow's own code: {answer.reason}")
    return failed(f"not refused as invalid, but with {answer.reason}")


def wrong_bodies(model: str, version: int, signature: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield the kind of each error, and the path and body of a REST request with that error."""
    name = quote(model, safe="")
    here = f"/v1/models/{name}/versions/{version}:predict"
    body = {"signature_name": signature, "instances": [{_UNKNOWN_INPUT: 1}]}
    yield "model", f"/v1/models/{_UNKNOWN_MODEL}:predict", json.dumps(body).encode()
    yield "version", f"/v1/models/{name}/versions/{abs(version) + _VERSION_OFFSET}:predict", json.dumps(body).encode()
    yield "signature", here, json.dumps({**body, "signature_name": _UNKNOWN_SIGNATURE}).encode()
    yield "input-name", here, json.dumps(body).encode()
    yield "body", here, b'{"instances": ['


def judge_http(status: int, text: str) -> Judgement:
    """Judge the REST answer to an invalid request: it must be 400 or 404 with an ``error``."""
    if 200 <= status < 300:
        return failed(f"an invalid request was answered: HTTP {status}")
    if status not in _CLEAN_HTTP:
        return failed(f"not refused as invalid, but with HTTP {status}: {text}")
    try:
        detail = parse_document(text)["error"]
    except (ValueError, KeyError, TypeError):
        return failed(f"refused with HTTP {status}, but without an error message: {text}")
    return passed(f"refused: HTTP {status}: {detail}")


def _unknown_targets(prober: Prober, like: Case) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ids and senders of requests for an unknown model, version and signature."""
    client, version = prober.grpc, prober.version
    yield "refusals.model", lambda: client.predict(_UNKNOWN_MODEL, like.inputs, signature=like.signature)
    yield "refusals.version", lambda: client.predict(prober.model, like.inputs, version=abs(version) + _VERSION_OFFSET)
    yield (
        "refusals.signature",
        lambda: client.predict(prober.model, like.inputs, signature=_UNKNOWN_SIGNATURE, version=version),
    )


def _send_to_unknown(send: Callable[[], Any]) -> Judgement:
    try:
        reply = send()
    except StatusError as error:
        return judge_refusal(Answer(error=error))
    return judge_refusal(Answer(reply.outputs, reply.version))


def _over_rest(prober: Prober, address: str, path: str, body: bytes) -> Judgement:
    return judge_http(*_post(address, path, body, prober.timeout))


def _send_invalid(prober: Prober, case: Case, identity: str) -> Judgement:
    answer = prober.probe(case, GRPC)
    may_fit = identity == "shape"
    local = prober.probe(case, LOCAL) if may_fit and not answer.ok and prober.has_local else None
    return judge_refusal(answer, local=local, may_fit=may_fit)


def _changed(like: Case, name: str, inputs: dict[str, NDArray[Any]]) -> Case:
    return Case(like.signature, name, inputs, ordinary=False)


def _misshapen(shape: tuple[int | None, ...] | None, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array one longer in its last fixed dimension, or with one more dimension if none is fixed."""
    fixed = [axis for axis, size in enumerate(shape or ()) if size is not None and axis > 0]
    if not fixed:
        return array[..., np.newaxis]
    return np.concatenate([array, np.take(array, [0], axis=fixed[-1])], axis=fixed[-1])


def _unharmed(prober: Prober, like: Case) -> Judgement:
    before, after = prober.probe(like, GRPC), prober.probe_again(like, GRPC)
    if not after.ok:
        return failed(f"after the invalid requests a valid one is not answered: {after.reason}")
    mismatch = compare(before.outputs, after.outputs, like.rtol, like.atol)
    return (
        failed(f"after the invalid requests a valid one is answered differently: {mismatch}")
        if mismatch
        else passed("a valid request is answered as before")
    )


def _post(address: str, path: str, body: bytes, timeout: float) -> tuple[int, str]:
    httpx = import_extra("httpx", "rest")
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False, proxy=rest_proxy(f"http://{address}")) as client,
            client.stream("POST", f"http://{address}{path}", content=body) as reply,
        ):
            counted = ReplyBytes(reply.headers.get("content-encoding", ""), DEFAULT_MAX_REPLY)
            text = b"".join(map(counted.feed, reply.iter_raw()))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"the connection to the REST API broke: {error or type(error).__name__}") from error
    return int(reply.status_code), text.decode("utf-8", "replace")


def _code(answer: Answer) -> Code | None:
    return answer.error.code if isinstance(answer.error, StatusError) else None
