# SPDX-License-Identifier: Apache-2.0
"""The distribution API of one repository (OCI distribution specification 1.1), over httpx."""

from __future__ import annotations

import ipaddress
import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import __version__
from tfs_deploy.errors import EnvironmentFault, TfsDeployError
from tfs_deploy.extras import import_extra
from tfs_deploy.store.places.oci.faults import PLAIN_HTTP, Fault, Refused, no_answer, refusal, sentence
from tfs_deploy.store.places.oci.image import LARGEST_CONFIG, MANIFEST_TYPE, digest_of
from tfs_deploy.store.places.oci.login import HUB, HUB_HOST, Challenge, find_credentials, read_challenge, read_token
from tfs_deploy.store.places.oci.unlogged import unlogged
from tfs_deploy.store.places.retry import Failure, Lost, Patience, Requests
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    import httpx

    from tfs_deploy.deployment.address import Address

Body = Callable[[], Iterator[bytes]]
#: what other programs may have put under a number is to be told from a version
_ACCEPTED: Final = (
    f"{MANIFEST_TYPE}, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)
#: tags asked for at once; registries give fewer where they like
_PAGE: Final = 1000
#: bytes; manifests have at most 4 MB
_LARGEST_ANSWER: Final = 16 << 20


class Gone(Exception):  # noqa: N818 - it never reaches a caller
    """A blob is not there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its status, where it came from, its headers, and the page that follows it (empty: none)."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    following: str


class Registry:
    """One repository of a registry: its tags, manifests and blobs. Threads may share it."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self._httpx: Any = import_extra("httpx", "storage")
        self.address = address.base
        failures = (self._httpx.RequestError, self._httpx.InvalidURL, Refused, Lost)
        self.requests = Requests(patience, failures, self._judge)
        allowed = {name.strip() for name in os.environ.get(PLAIN_HTTP, "").split(",")} - {""}
        host, path = address.bucket, address.path
        if host == HUB:
            host, path = HUB_HOST, path if "/" in path else f"library/{path}"
        self._base = f"{'http' if _may_be_plain(host, allowed) else 'https'}://{host}/v2/{path}/"
        self._login = threading.Lock()
        self._authorization = ""
        self._credentials = ""
        connect = min(5.0, patience.silence)
        # after the last byte of a blob a registry may move it: in a bucket, that is a copy
        self._slow = self._httpx.Timeout(patience.silence, connect=connect, pool=None, read=10 * patience.silence)
        self._client: httpx.Client = self._httpx.Client(
            timeout=self._httpx.Timeout(patience.silence, connect=connect, pool=None),
            headers={"User-Agent": f"tfs-deploy/{__version__}", "Accept": _ACCEPTED, "Accept-Encoding": "identity"},
            event_hooks={"request": [partial(_require_secure, f"{address.scheme}://{address.bucket}", allowed)]},
            max_redirects=5,
        )
        weakref.finalize(self, self._client.close)

    def tags(self) -> list[str]:
        """Return all tags; none if there is no repository yet."""
        found: list[str] = []
        url = f"tags/list?n={_PAGE}"
        pages: set[str] = set()
        while url and url not in pages:
            pages.add(url)
            answer = self._call("listing versions", "GET", url, accept=(200, 404))
            if answer.status == 404:
                fault = refusal(404, answer.body, "").fault
                if fault.code:
                    return found
                raise self.sentence(fault, "listing versions")  # something else answers there
            try:
                found += [str(tag) for tag in parse_document(answer.body)["tags"] or ()]
            except (ValueError, KeyError, TypeError):
                raise self._strange("listing versions") from None
            url = answer.following
        return found

    def manifest(self, reference: str) -> bytes | None:
        """Return the manifest of a tag or digest, ``None`` if there is none."""
        answer = self._call("reading a publication", "GET", f"manifests/{reference}", accept=(200, 404))
        return answer.body if answer.status == 200 else None

    def digest(self, tag: str) -> str | None:
        """Return the digest of the manifest of a tag, ``None`` if there is none."""
        answer = self._call("looking for a version", "HEAD", f"manifests/{tag}", accept=(200, 404))
        if answer.status == 404:
            return None
        if digest := answer.headers.get("Docker-Content-Digest"):
            return digest
        manifest = self.manifest(tag)
        return None if manifest is None else digest_of(manifest)

    def put_manifest(self, tag: str, manifest: bytes) -> Fault | None:
        """Put a manifest under a tag; return why not, if the registry refuses it, as one does whose tags stay."""
        headers = {"Content-Type": MANIFEST_TYPE, "Content-Length": str(len(manifest))}
        accept = (200, 201, 202, 400, 409, 412)

        def put() -> Answer:
            return self._answer(
                "PUT", f"manifests/{tag}", headers=headers, body=lambda: iter([manifest]), accept=accept
            )

        answer = self.requests.call("publishing", put)
        return None if answer.status < 400 else refusal(answer.status, answer.body, "").fault

    def delete_manifest(self, digest: str) -> bool:
        """Delete a manifest and its tags; return false if the registry does not allow that."""
        doing = "removing a version"
        answer = self._call(doing, "DELETE", f"manifests/{digest}", accept=(200, 202, 400, 404, 405))
        if answer.status != 400:
            return answer.status != 405
        fault = refusal(400, answer.body, "").fault
        if fault.code != "UNSUPPORTED":
            raise self.sentence(fault, doing)
        return False

    def has_blob(self, digest: str) -> bool:
        """Tell whether a blob is there."""
        return self._call("looking for files", "HEAD", f"blobs/{digest}", accept=(200, 404)).status == 200

    def put_blob(self, digest: str, size: int, body: Body) -> None:
        """Upload a blob of ``size`` bytes; ``body`` may be called several times."""

        def put() -> None:
            begun = self._answer("POST", "blobs/uploads/", headers={"Content-Length": "0"})
            location = str(self._httpx.URL(begun.url).join(begun.headers.get("Location", "")))
            url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            self._answer("PUT", url, headers=headers, body=body)

        self.requests.call("writing files", put)

    def small_blob(self, digest: str, size: int) -> bytes:
        """Return a blob of at most ``LARGEST_CONFIG`` bytes; ``EnvironmentFault`` if it is not what its digest says."""
        data = b"".join(self.blob(digest, 0, min(size, LARGEST_CONFIG)))
        if digest_of(data) != digest:
            raise self._strange("reading a publication")
        return data

    def blob(self, digest: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``stop`` of a blob; a cut connection goes on where it was cut.

        Where a registry ignores ranges, the bytes before ``start`` are read and left out.
        """
        failures = 0
        while start < stop:
            before = start
            try:
                for chunk in self._part(digest, start, stop):
                    start += len(chunk)
                    yield chunk
                if start < stop:
                    raise Lost
            except self.requests.failures as error:
                if isinstance(error, Refused) and error.fault.status == 404:
                    raise Gone from None
                failures = 1 if start > before else failures + 1
                self.requests.failed("reading files", error, failures)

    def _part(self, digest: str, start: int, stop: int) -> Iterator[bytes]:
        self.requests.made += 1
        with closing(self._send("GET", f"blobs/{digest}", headers={"Range": f"bytes={start}-{stop - 1}"})) as answer:
            if answer.status_code not in (200, 206):
                raise self._refused(answer)
            skip, left = (start if answer.status_code == 200 else 0), stop - start
            for chunk in answer.iter_raw():
                piece = chunk[skip : skip + left] if skip or len(chunk) > left else chunk
                skip = max(0, skip - len(chunk))
                left -= len(piece)
                if piece:
                    yield piece
                if not left:
                    return

    def sentence(self, fault: Fault, doing: str) -> TfsDeployError:
        """Return the error of a failure for good."""
        return sentence(fault, self.address, self._credentials, doing)

    def _call(self, doing: str, method: str, url: str, *, accept: tuple[int, ...]) -> Answer:
        return self.requests.call(doing, lambda: self._answer(method, url, accept=accept))

    def _answer(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: tuple[int, ...] = (200, 201, 202, 204),
    ) -> Answer:
        """Return the whole answer to one request; raises ``Refused`` for another status than those accepted."""
        with closing(self._send(method, url, headers=headers, body=body)) as answer:
            if answer.status_code not in accept:
                raise self._refused(answer)
            following = str(answer.url.join(answer.links["next"]["url"])) if "next" in answer.links else ""
            return Answer(answer.status_code, str(answer.url), answer.headers, _whole(answer), following)

    def _send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> httpx.Response:
        """Send one request, and log in where the registry wants it; the answer is to be read and closed."""
        whole = str(self._httpx.URL(self._base).join(url))
        authorization = self._authorization
        answer = self._once(method, whole, headers, body, authorization)
        if answer.status_code != 401:
            return answer
        with closing(answer):
            challenge = read_challenge(answer.headers.get("WWW-Authenticate", ""))
        with self._login:
            if self._authorization == authorization:
                self._authorization = self._log_in(challenge)
        return self._once(method, whole, headers, body, self._authorization)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: Body | None, authorization: str
    ) -> httpx.Response:
        request = self._client.build_request(
            method,
            url,
            headers=headers,
            content=body() if body else None,
            timeout=self._slow if method == "PUT" else self._client.timeout,
        )
        if authorization and request.url.netloc == self._httpx.URL(self._base).netloc:  # uploads may be elsewhere
            request.headers["Authorization"] = authorization
        with unlogged():
            return self._client.send(request, stream=True, follow_redirects=method in ("GET", "HEAD"))

    def _log_in(self, challenge: Challenge) -> str:
        """Return the value of the header that a registry wants; raises ``Refused`` if there is none to give."""
        credentials = find_credentials(self.address.bucket)
        self._credentials = "" if credentials is None else credentials.source
        realm = challenge.parameters.get("realm", "")
        if challenge.kind == "basic" and credentials is not None and credentials.name:
            return credentials.basic
        if challenge.kind != "bearer" or not realm:
            raise Refused(Fault(401))
        asked = {key: text for key, text in challenge.parameters.items() if key in ("service", "scope")}
        with unlogged():
            if credentials is not None and credentials.identity_token:
                grant = {"grant_type": "refresh_token", "client_id": "tfs-deploy"}
                answer = self._client.post(realm, data={**grant, **asked, "refresh_token": credentials.identity_token})
            else:
                headers = {} if credentials is None else {"Authorization": credentials.basic}
                answer = self._client.get(realm, params=asked, headers=headers)
        if answer.status_code not in (200, 400):
            raise refusal(answer.status_code, answer.content, answer.headers.get("Retry-After", ""))
        token = read_token(answer.content)
        if not token:
            raise Refused(Fault(401))
        return f"Bearer {token}"

    def _refused(self, answer: httpx.Response) -> Refused:
        return refusal(answer.status_code, _whole(answer), answer.headers.get("Retry-After", ""))

    def _judge(self, error: Exception) -> Failure:
        fault = error.fault if isinstance(error, Refused) else Fault() if isinstance(error, Lost) else no_answer(error)
        return Failure(fault.passes, fault.unreachable, lambda doing: self.sentence(fault, doing), fault.wait)

    def _strange(self, doing: str) -> EnvironmentFault:
        hint = "check that it is a registry of images, and what stands between it and this machine"
        return EnvironmentFault(f"{self.address.base} gave an answer that is not valid while {doing}", hint=hint)


def _may_be_plain(host: str, allowed: Collection[str]) -> bool:
    """Tell whether a host, perhaps with a port, may be spoken to without TLS: this machine, and what is ``allowed``."""
    name = host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]
    if host in allowed or name in allowed or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _require_secure(where: str, allowed: Collection[str], request: httpx.Request) -> None:
    """Raise ``EnvironmentFault`` for a request, also of a redirect, that would travel in the open."""
    host = request.url.netloc.decode()
    if request.url.scheme != "https" and not _may_be_plain(host, allowed):
        hint = f"set {PLAIN_HTTP}={host} if that is on a network that you trust"
        raise EnvironmentFault(f"{where} leads to {host} without TLS", hint=hint)


def _whole(answer: httpx.Response) -> bytes:
    """Read the rest of an answer that should be small; raises ``Lost`` where it does not end."""
    data = b""
    for chunk in answer.iter_raw():
        data += chunk
        if len(data) > _LARGEST_ANSWER:
            raise Lost
    return data
