# SPDX-License-Identifier: Apache-2.0
"""Send requests to a served model, over both transports, and to the local model, and keep every answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import (
    Code,
    DeadlineExceededError,
    ResourceExhaustedError,
    StatusError,
    TfsDeployError,
    UnavailableError,
)
from tfs_deploy.savedmodel.samples import NOT_IN_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.client import Client, RestClient
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.local_runner import LocalRunner

GRPC: Final = "grpc"
REST: Final = "rest"
LOCAL: Final = "local"
#: codes with which a server refuses an invalid request, and only that
CLEAN_REFUSALS: Final = frozenset(
    {Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE, Code.UNIMPLEMENTED}
)
#: how many timeouts a first call may take
_FIRST: Final = 3.0
#: largest answer to a made-up request, and largest answer over REST
MAX_ANSWER_BYTES: Final = 128_000_000
MAX_JSON_BYTES: Final = 16_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The answer to a request: outputs and the version that gave them, or an error; ``seconds``: its latency."""

    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    version: int | None = None
    error: TfsDeployError | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there are outputs."""
        return self.error is None

    @property
    def refused(self) -> bool:
        """Whether the request was refused as invalid."""
        return isinstance(self.error, StatusError) and self.error.code in CLEAN_REFUSALS

    @property
    def lost(self) -> bool:
        """Whether no answer came, or none in time; a server that answers with these codes has answered."""
        return isinstance(self.error, (DeadlineExceededError, UnavailableError)) and not self.error.reached

    @property
    def late(self) -> bool:
        """Whether no answer came in time."""
        return self.lost and isinstance(self.error, DeadlineExceededError)

    @property
    def size(self) -> int:
        """The size of all outputs in bytes."""
        return sum(
            sum(map(len, array.reshape(-1))) if array.dtype.kind == "O" else array.nbytes
            for array in self.outputs.values()
        )

    @property
    def reason(self) -> str:
        """The error's code and message; empty without an error."""
        if self.error is None:
            return ""
        code = f"{self.error.code.name}: " if isinstance(self.error, StatusError) else ""
        return f"{code}{self.error.message}"


@dataclass(slots=True)
class Prober:
    """Sends requests to one version of a model: each case once over each transport, unless ``probe_again`` is called.

    A signature that did not answer in time, or whose server was lost, is not sent anything else over that transport
    (and nothing at all over REST), so that a model that hangs costs one ``timeout`` and not one for each case. The same
    goes for a signature whose answer is far too large. A failed edge value only counts for itself.
    """

    model: str
    version: int
    grpc: Client
    rest: RestClient | None
    local: LocalRunner | None
    timeout: float
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    _lost: dict[tuple[str, str, bool | str], TfsDeployError] = field(default_factory=dict)
    _repeated: dict[tuple[str, str], Answer] = field(default_factory=dict)
    _coming: dict[tuple[str, str, str], Future[Answer]] = field(default_factory=dict)
    _beside: ThreadPoolExecutor | None = None
    _local_is_free: threading.Lock = field(default_factory=threading.Lock)

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports of the server."""
        return (GRPC,) if self.rest is None else (GRPC, REST)

    @property
    def has_local(self) -> bool:
        """Whether there is a local model that is ready."""
        if self.local is None:
            return False
        with self._local_is_free:
            return self.local.ready()

    def probe(self, case: Case, transport: str, *, timeout: float | None = None) -> Answer:
        """Return the answer to a case; sent only the first time."""
        key = (case.signature, case.name, transport)
        if key in self._coming:
            self.answers[key] = self._coming.pop(key).result()
        if key not in self.answers:
            self.answers[key] = self.probe_again(case, transport, timeout=timeout)
        return self.answers[key]

    def repeat(self, case: Case) -> Answer:
        """Return the answer to a case sent over gRPC once more; the first time counts, as for ``probe``."""
        key = (case.signature, case.name)
        if key not in self._repeated:
            self._repeated[key] = self.probe_again(case, GRPC)
        return self._repeated[key]

    def begin_local(self, cases: Sequence[Case]) -> None:
        """Ask the local model in a thread of its own, while the server is asked."""
        if self.local is None or not cases:
            return
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, "local-model")
        for case in cases:
            key = (case.signature, case.name, LOCAL)
            if key not in self.answers and key not in self._coming:
                timeout = None if self._coming else self.first_timeout
                self._coming[key] = self._beside.submit(self.probe_again, case, LOCAL, timeout=timeout)

    def close(self) -> None:
        """Wait for what the local model still answers."""
        if self._beside is not None:
            self._beside.shutdown(cancel_futures=True)

    def probe_again(self, case: Case, transport: str, *, timeout: float | None = None) -> Answer:
        """Send a case and return the answer."""
        lost = self._lost.get((case.signature, transport, True)) or self._lost.get(
            (case.signature, transport, case.name)
        )
        if lost is None and transport == REST and (self.hangs(case.signature) or self._overflows(case.signature)):
            lost = self._lost[case.signature, GRPC, True]
        if lost is not None:
            return Answer(error=lost)
        began = time.perf_counter()
        try:
            outputs, version = self._send(case, transport, self._patience(transport) if timeout is None else timeout)
        except TfsDeployError as error:
            answer = Answer(error=error, seconds=time.perf_counter() - began)
            if answer.lost:
                self._lost[case.signature, transport, case.ordinary or case.name] = error
            return answer
        answer = Answer(outputs, version, seconds=time.perf_counter() - began)
        if case.golden is None and answer.size > MAX_ANSWER_BYTES:
            most = f"more than the {MAX_ANSWER_BYTES / 1e6:.0f} MB allowed for a made-up request"
            overflow = ResourceExhaustedError(f"the answer has {answer.size / 1e6:.0f} MB, {most}")
            self._lost[case.signature, transport, case.ordinary or case.name] = overflow
            return Answer(error=overflow, seconds=answer.seconds)
        return answer

    def _patience(self, transport: str) -> float:
        """Return the timeout of a request in seconds: halved with every timeout so far."""
        late = sum(isinstance(error, DeadlineExceededError) for key, error in self._lost.items() if key[1] == transport)
        return max(self.timeout * 0.5**late, min(self.timeout, 1.0))

    @property
    def first_timeout(self) -> float:
        """The timeout of a first call in seconds: it optimises the graph, which takes a deep network seconds."""
        return _FIRST * self.timeout

    def hangs(self, signature: str, transport: str = GRPC) -> bool:
        """Return whether a signature timed out."""
        return isinstance(self._lost.get((signature, transport, True)), DeadlineExceededError)

    def _overflows(self, signature: str) -> bool:
        return isinstance(self._lost.get((signature, GRPC, True)), ResourceExhaustedError)

    def _send(self, case: Case, transport: str, timeout: float) -> tuple[Mapping[str, NDArray[Any]], int | None]:
        if transport == LOCAL:
            if self.local is None:
                raise UnavailableError("there is no local model")
            with self._local_is_free:
                return self.local.predict(case.signature, case.inputs, timeout=timeout), self.version
        client = self.rest if transport == REST else self.grpc
        if client is None:
            raise UnavailableError("the server has no REST API")
        reply = client.predict(self.model, case.inputs, signature=case.signature, version=self.version, timeout=timeout)
        return reply.outputs, reply.version


def rest_obstacle(signature: SignatureInfo, case: Case, size: int = 0) -> str:
    """Return why a case cannot be sent over REST, empty if it can (util/json_tensor.cc); ``size``: of its answer."""
    if size > MAX_JSON_BYTES:
        return f"the answer has {size / 1e6:.0f} MB, too much for JSON"
    specs = (*signature.inputs.values(), *signature.outputs.values())
    dtype = next((spec.dtype for spec in specs if spec.dtype in NOT_IN_JSON), None)
    if dtype is not None:
        return f"the REST API cannot carry {dtype}"
    if not case.inputs:
        return "the REST API cannot call a signature without inputs"
    if case.rows == 0:
        return "the REST API cannot carry an empty batch"
    if case.binary and any(
        spec.dtype == "string" and not name.endswith("_bytes") for name, spec in signature.outputs.items()
    ):
        return "the REST API returns text that is not UTF-8 only from outputs named *_bytes"
    return ""
