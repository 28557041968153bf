"""The REST client (extra ``rest``)."""

from __future__ import annotations

from tfs_deploy.client.blocking import BlockingClient
from tfs_deploy.client.core import DEFAULT_TIMEOUT, Core
from tfs_deploy.client.rest_dialect import RestDialect
from tfs_deploy.client.rest_transport import RestTransport


class RestClient(BlockingClient):
    """Calls TensorFlow Serving over REST; has what ``Client`` has except ``reload``, which the API lacks.

    The metadata is always asked for, since JSON has no dtypes; a reply's ``version`` is only known where the call
    named one. half, bfloat16, uint16 and complex tensors and empty batches need gRPC.

    Args:
        address: ``HOST:PORT`` (a bare host means port 8501) or an http(s) URL.
        timeout: seconds that a call may take unless it says otherwise.
        check: compare inputs with the server's metadata before sending.

    Raises:
        MissingExtraError: httpx or orjson is not installed.
    """

    def __init__(self, address: str, *, timeout: float = DEFAULT_TIMEOUT, check: bool = True) -> None:
        self._core = Core(RestDialect(), timeout=timeout, check=check)
        self._transport: RestTransport = RestTransport(address)

    def __repr__(self) -> str:
        return f"RestClient({self._transport.base_url!r})"
