"""Group ``refusals``: requests that are wrong in one thing have to be refused, and break nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np

from tfs_deploy.errors import Code, DeadlineExceededError, StatusError, UnavailableError
from tfs_deploy.extras import import_extra
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import Case
from tfs_deploy.verify.probing.prober import CLEAN_REFUSALS, GRPC, LOCAL, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.probing.prober import Asker

_NOBODY: Final = "no_such_model"
_NOTHING: Final = "no_such_signature"
_UNKNOWN: Final = "no_such_input"
_FAR: Final = 1_000_003
#: what the REST API answers to a request that is wrong (http_rest_api_handler.cc maps codes to these)
_CLEAN_HTTP: Final = (400, 404)


def examine_refusals(
    examiner: Examiner,
    asker: Asker,
    signatures: Mapping[str, SignatureInfo],
    cases: Mapping[str, Sequence[Case]],
    rest_address: str | None,
) -> None:
    """Send what is wrong to every signature that answers what is right."""
    if not examiner.wants("refusals"):
        return
    answered = {
        name: next((case for case in cases[name] if case.inputs and asker.ask(case, GRPC).ok), None)
        for name in signatures
    }
    like = next((case for case in answered.values() if case is not None), None)
    if like is None:
        examiner.tell("refusals.model", "", skipped("no signature answered what is right"))
        return
    for identity, send in _addresses(asker, like):
        examiner.check(identity, "over grpc", partial(_nowhere, send))
    for name, case in answered.items():
        if case is None or asker.hangs(name):
            continue
        for identity, wrong in wrong_cases(signatures[name], case):
            examiner.check(f"refusals.{identity}", f"{name}, over grpc", partial(_wrong, asker, wrong, identity))
    if rest_address is not None:
        for identity, path, body in wrong_bodies(asker.model, asker.version, like.signature):
            examiner.check(f"refusals.{identity}", "over rest", partial(_over_rest, asker, rest_address, path, body))
    examiner.check("refusals.unharmed", like.signature, lambda: _unharmed(asker, like))


def wrong_cases(signature: SignatureInfo, like: Case) -> Iterator[tuple[str, Case]]:
    """Yield what is wrong, and the request that a signature answers changed in just that."""
    first = next(iter(like.inputs))
    array, rest = like.inputs[first], {name: a for name, a in like.inputs.items() if name != first}
    renamed = {_UNKNOWN: array, **rest}
    yield "input-name", _changed(like, "an unknown input", renamed)
    if first not in signature.defaults:
        yield "missing-input", _changed(like, "an input left out", rest)
    dtype = np.full(array.shape, b"text", object) if array.dtype.kind != "O" else np.ones(array.shape, np.float32)
    yield "dtype", _changed(like, "another dtype", {first: dtype, **rest})
    yield "shape", _changed(like, "another shape", {first: _misshapen(signature.inputs[first].shape, array), **rest})


def judge_refusal(answer: Answer, *, local: Answer | None = None, may_fit: bool = False) -> Judgement:
    """Judge the answer to a wrong request: refused as wrong.

    With ``may_fit`` a graph may take it, since the server compares no shapes. What TensorFlow itself calls by another
    code is no fault of the server (``local``).
    """
    if answer.ok:
        if may_fit:
            return skipped("the graph takes this shape too; the server compares none")
        return failed("it was answered as if it were right")
    if isinstance(answer.error, DeadlineExceededError):
        return failed(f"it was not refused, and not answered in time: {answer.why}")
    if isinstance(answer.error, UnavailableError):
        return failed(f"the server was lost by it: {answer.why}")
    if isinstance(answer.error, StatusError) and answer.error.code in CLEAN_REFUSALS:
        return passed(f"refused: {answer.why}")
    if may_fit and local is not None and not local.ok and _code(local) is _code(answer):
        return passed(f"refused with the code that TensorFlow has for it: {answer.why}")
    return failed(f"not refused as wrong, but with {answer.why}")


def wrong_bodies(model: str, version: int, signature: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield what is wrong, and the path and body of a REST request that is wrong in that."""
    name = quote(model, safe="")
    here = f"/v1/models/{name}/versions/{version}:predict"
    body = {"signature_name": signature, "instances": [{_UNKNOWN: 1}]}
    yield "model", f"/v1/models/{_NOBODY}:predict", json.dumps(body).encode()
    yield "version", f"/v1/models/{name}/versions/{abs(version) + _FAR}:predict", json.dumps(body).encode()
    yield "signature", here, json.dumps({**body, "signature_name": _NOTHING}).encode()
    yield "input-name", here, json.dumps(body).encode()
    yield "body", here, b'{"instances": ['


def judge_http(status: int, text: str) -> Judgement:
    """Judge the REST answer to a wrong request: 400 or 404 with an ``error``."""
    if 200 <= status < 300:
        return failed(f"it was answered as if it were right, HTTP {status}")
    if status not in _CLEAN_HTTP:
        return failed(f"not refused as wrong, but with HTTP {status}: {text}")
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return failed(f"refused with HTTP {status}, and without saying why: {text}")
    return passed(f"refused: HTTP {status}: {said}")


def _addresses(asker: Asker, like: Case) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield requests that go to something that is not there."""
    client, version = asker.grpc, asker.version
    yield "refusals.model", lambda: client.predict(_NOBODY, like.inputs, signature=like.signature)
    yield "refusals.version", lambda: client.predict(asker.model, like.inputs, version=abs(version) + _FAR)
    yield "refusals.signature", lambda: client.predict(asker.model, like.inputs, signature=_NOTHING, version=version)


def _nowhere(send: Callable[[], Any]) -> Judgement:
    try:
        reply = send()
    except StatusError as error:
        return judge_refusal(Answer(error=error))
    return judge_refusal(Answer(reply.outputs, reply.version))


def _over_rest(asker: Asker, address: str, path: str, body: bytes) -> Judgement:
    return judge_http(*_post(address, path, body, asker.timeout))


def _wrong(asker: Asker, case: Case, identity: str) -> Judgement:
    answer = asker.ask(case, GRPC)
    may_fit = identity == "shape"
    local = asker.ask(case, LOCAL) if may_fit and not answer.ok and asker.asks_local else None
    return judge_refusal(answer, local=local, may_fit=may_fit)


def _changed(like: Case, name: str, inputs: dict[str, NDArray[Any]]) -> Case:
    return Case(like.signature, name, inputs, ordinary=False)


def _misshapen(shape: tuple[int | None, ...] | None, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array with one more along its last fixed size, or with one more dimension where none is fixed."""
    fixed = [axis for axis, size in enumerate(shape or ()) if size is not None and axis > 0]
    if not fixed:
        return array[..., np.newaxis]
    return np.concatenate([array, np.take(array, [0], axis=fixed[-1])], axis=fixed[-1])


def _unharmed(asker: Asker, like: Case) -> Judgement:
    before, after = asker.ask(like, GRPC), asker.again(like, GRPC)
    if not after.ok:
        return failed(f"after the wrong requests a right one is not answered: {after.why}")
    mismatch = compare(before.outputs, after.outputs, like.rtol, like.atol)
    return (
        failed(f"after the wrong requests a right one is answered differently: {mismatch}")
        if mismatch
        else passed("a right request is answered as before")
    )


def _post(address: str, path: str, body: bytes, timeout: float) -> tuple[int, str]:
    httpx = import_extra("httpx", "rest")
    try:
        # not through a proxy: the server is named by its address
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            reply = client.post(f"http://{address}{path}", content=body)
    except httpx.HTTPError as error:
        raise UnavailableError(f"the REST API broke off: {error or type(error).__name__}") from error
    return int(reply.status_code), str(reply.text)


def _code(answer: Answer) -> Code | None:
    return answer.error.code if isinstance(answer.error, StatusError) else None
