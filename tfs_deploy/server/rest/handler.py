# SPDX-License-Identifier: Apache-2.0
"""Answers REST requests, in worker threads (model_servers/http_rest_api_handler.cc)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from tfs_deploy.codec import PredictCall
from tfs_deploy.codec.json.examples import encode_classifications, encode_regressions, parse_examples_body
from tfs_deploy.codec.json.large_request import parse_request, read_request
from tfs_deploy.codec.json.server_reply import encode_predictions
from tfs_deploy.codec.json.text import print_json
from tfs_deploy.errors import Code, InternalError, InvalidArgumentError, StatusError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.server.data_plane import UNEXPECTED_FAILURE, DataPlane, ModelSpec
from tfs_deploy.server.rest.routes import HANDLED, BadUrlError, Route, VersionTooBigError, parse_route
from tfs_deploy.server.rest.signature_json import signature_defs_json
from tfs_deploy.server.workers import raise_if_abandoned

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

JSON: Final = "application/json"
#: model_servers/http_rest_api_util.cc
HTTP_CODES: Final = {
    Code.OK: 200,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ABORTED: 409,
    Code.ALREADY_EXISTS: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and headers of an HTTP reply."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def html_page(status: int) -> Reply:
    """Return libevent's own page for a status."""
    name = HTTPStatus(status).phrase
    text = f"<HTML><HEAD>\n<TITLE>{status} {name}</TITLE>\n</HEAD><BODY>\n<H1>{name}</H1>\n</BODY></HTML>\n"
    return Reply(status, text.encode(), "text/html")


def error_reply(error: StatusError) -> Reply:
    """Return an error as the server's ``{"error": ...}``."""
    body = print_json({"error": error.message}).encode("utf-8", "surrogateescape")
    return Reply(HTTP_CODES.get(error.code, 500), body)


class RestHandler:
    """Turns requests into replies; safe to call from several threads."""

    def __init__(self, data_plane: DataPlane, *, metrics_path: str | None = None) -> None:
        self._data_plane = data_plane
        self._metrics_path = metrics_path

    def handle(self, method: str, path: str, body: bytes, timeout: float | None) -> Reply:
        """Return the reply to a request; ``path`` is as sent, with its query string."""
        if path == self._metrics_path:
            return Reply(200, self._data_plane.metrics.page(), "text/plain")
        if not HANDLED.fullmatch(path) and path.lower() != "/v1/models":
            return html_page(404)
        try:
            route = parse_route(method, path)
        except BadUrlError:
            return html_page(400)
        except VersionTooBigError:
            return Reply(400)
        except StatusError as error:
            self._data_plane.metrics.failed("", error.code)
            return error_reply(error)
        return self._measured(route, body, timeout)

    def _measured(self, route: Route, body: bytes, timeout: float | None) -> Reply:
        started = time.perf_counter()
        metrics = self._data_plane.metrics
        try:
            answer = self._answer(route, body, timeout)
        except StatusError as error:
            metrics.failed(route.model, error.code)
            return error_reply(error)
        except RecursionError:
            metrics.failed(route.model, Code.INVALID_ARGUMENT)
            return error_reply(InvalidArgumentError("JSON Parse error: the document is nested too deeply"))
        except Exception:  # noqa: BLE001 - only this request fails
            _log.exception("a %s request for model %s failed", route.verb, route.model)
            metrics.failed(route.model, Code.INTERNAL)
            return error_reply(InternalError(UNEXPECTED_FAILURE))
        api = "" if route.verb in ("status", "metadata") else route.verb
        metrics.succeeded(route.model, api, "REST", (time.perf_counter() - started) * 1e6)
        return Reply(200, answer)

    def _answer(self, route: Route, body: bytes, timeout: float | None) -> bytes:
        if route.verb == "predict":
            return self._predict(route, body, timeout)
        if route.verb == "status":
            return self._status(route)
        if route.verb == "metadata":
            return self._metadata(route)
        examples = parse_examples_body(body, raise_if_abandoned)
        spec = ModelSpec(route.model, route.version, route.label, examples.signature)
        if route.verb == "classify":
            return encode_classifications(self._data_plane.classify(spec, examples.input, timeout)[1])
        return encode_regressions(self._data_plane.regress(spec, examples.input, timeout)[1])

    def _predict(self, route: Route, data: bytes, timeout: float | None) -> bytes:
        body = parse_request(data, raise_if_abandoned)
        # JSON has no dtypes: its numbers become what the signature takes
        found = self._data_plane.find(route.model, route.version, route.label)
        name = body.signature or DEFAULT_SIGNATURE
        signature = found[1].signatures.get(name)
        if signature is None:
            raise InvalidArgumentError(f'Serving signature name: "{name}" not found in signature def')
        inputs, form = read_request(body, signature.info.inputs)
        call = PredictCall(route.model, name, route.version, route.label, inputs)
        outputs = self._data_plane.predict(call, timeout, found=found)[1]
        return encode_predictions(outputs, form)

    def _status(self, route: Route) -> bytes:
        states = []
        for state in self._data_plane.status(ModelSpec(route.model, route.version)):
            error = state.error
            status = {
                "error_code": "OK" if error is None else error.code.name,
                "error_message": "" if error is None else error.message,
            }
            states.append({"version": str(state.id.version), "state": state.state.name, "status": status})
        return _dump({"model_version_status": states})

    def _metadata(self, route: Route) -> bytes:
        version, servable = self._data_plane.find(route.model, route.version, route.label)
        return _dump(
            {
                "model_spec": {"name": route.model, "version": str(version), "signature_name": ""},
                "metadata": {"signature_def": {"signature_def": signature_defs_json(servable.signature_defs)}},
            }
        )


def _dump(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
