# SPDX-License-Identifier: Apache-2.0
"""HTTP for gates, hooks and notifications, with the standard library alone."""

from __future__ import annotations

import json
import queue
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.host.addresses import Url, read_url
from tfs_deploy.host.http_replies import reply_text
from tfs_deploy.host.proxies import proxy_for
from tfs_deploy.rollout.web_access import PLAIN, WebAccess
from tfs_deploy.text import one_line, parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext
    from urllib.error import HTTPError

#: bytes of an answer that are read at most
_MOST: Final = 8 << 20
_MOST_OF_AN_ERROR: Final = 64 << 10
#: seconds beyond the timeout of the connection, so that its own error comes first
_GRACE: Final = 0.5


def is_url(text: str) -> bool:
    """Whether a text is meant as an HTTP URL; anything else is a command."""
    return text.lower().startswith(("http://", "https://"))


def check_url(url: str) -> Url:
    """Return the parts of an HTTP URL without a password; raises ``UsageError`` for anything else."""
    parts = _parts(url)
    if parts.user:
        message = f"the name and password in {url} would not be sent, and be in the journal, which every user can read"
        hint = "give them from the environment: --gate-header 'Authorization: Basic ${CREDENTIALS}'"
        raise UsageError(message, hint=hint)
    return parts


def _parts(url: str) -> Url:
    try:
        return read_url(url)
    except ValueError as error:
        hint = "for example http://localhost:9090"
        raise UsageError(f"{url!r} is not a valid HTTP URL: {error}", hint=hint) from None


def fetch(url: str, *, body: Mapping[str, Any] | None = None, timeout: float = 5.0, access: WebAccess = PLAIN) -> str:
    """Return the text behind a URL, to which ``body`` is posted as JSON; takes ``timeout`` seconds at most.

    The headers of ``access`` go to this URL only, not to where it redirects.

    Raises ``UnavailableError`` with the reason in one line unless the answer is 2xx, ``UsageError`` for anything but
    an HTTP URL.
    """
    _parts(url)
    answers: queue.SimpleQueue[str | UnavailableError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_fetch(url, body, timeout, access))
        except UnavailableError as error:
            answers.put(error)

    # A connection's timeout is that of each read, so a server that trickles could hold up a rollout for ever.
    threading.Thread(target=ask, daemon=True, name="fetch").start()
    try:
        answer = answers.get(timeout=timeout + _GRACE)
    except queue.Empty:
        raise UnavailableError(f"{_short(url)} did not answer within {timeout:g} s") from None
    if isinstance(answer, UnavailableError):
        raise answer
    return answer


def _fetch(url: str, body: Mapping[str, Any] | None, timeout: float, access: WebAccess) -> str:
    import http.client  # inside: the command line reads gates without fetching anything
    import urllib.error
    import urllib.request

    data = None if body is None else json.dumps(body, default=str).encode()
    headers = {"User-Agent": "tfs-deploy", **({} if data is None else {"Content-Type": "application/json"})}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - checked above
    for name, value in access.filled().items():
        request.add_unredirected_header(name, value)
    opener = _opener(access.context())
    try:
        with opener.open(request, timeout=timeout) as reply:
            content: bytes = reply.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        with error:
            said = _body(error)
        raise UnavailableError(f"{_short(url)} answered {error.code} {said or error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a malformed URL
        reason = one_line(str(getattr(error, "reason", error))) or type(error).__name__
        raise UnavailableError(f"{_short(url)} cannot be read: {reason}") from error
    if len(content) > _MOST:
        # the first part of a page would give wrong numbers
        raise UnavailableError(f"{_short(url)} answered with more than {_MOST >> 20} MiB")
    return content.decode("utf-8", "replace")


def _body(error: HTTPError) -> str:
    """Return what the body of an error says; empty if it cannot be read."""
    import http.client

    try:
        return reply_text(error.read(_MOST_OF_AN_ERROR))
    except (OSError, http.client.HTTPException):
        return ""


def _opener(context: SSLContext | None) -> Any:
    """Return what opens URLs, also those of redirections, by the rule of ``host.proxies``, verified by ``context``."""
    import urllib.request

    class Proxies(urllib.request.ProxyHandler):
        def __init__(self) -> None:
            super().__init__({"http": "as the rule says", "https": "as the rule says"})

        def proxy_open(self, request: urllib.request.Request, _proxy: str, kind: str) -> Any:
            url = read_url(request.full_url)
            proxy = proxy_for(url.scheme, url.host, url.port)
            return None if proxy is None else super().proxy_open(request, proxy, kind)

    return urllib.request.build_opener(Proxies(), urllib.request.HTTPSHandler(context=context))


def fetch_json(url: str, *, timeout: float = 5.0, access: WebAccess = PLAIN) -> Any:
    """Return the JSON document behind a URL; raises as ``fetch``, and for anything but JSON."""
    text = fetch(url, timeout=timeout, access=access)
    try:
        return parse_document(text)
    except ValueError as error:
        raise UnavailableError(f"{_short(url)} did not answer with JSON") from error


def _short(url: str) -> str:
    """Return a URL without its query and password, for messages."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
