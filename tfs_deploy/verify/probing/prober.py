"""Asking a served model over both transports and in this process, and remembering every answer."""

from __future__ import annotations

import time
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
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tfs_deploy.client import Client, RestClient
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.local_runner import LocalRunner

GRPC: Final = "grpc"
REST: Final = "rest"
LOCAL: Final = "local"
#: what a server answers to a request that is wrong, and to nothing else
CLEAN_REFUSALS: Final = frozenset(
    {Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE, Code.UNIMPLEMENTED}
)
#: bytes that the answer to a made-up request may have, and those that are asked for as JSON
LARGEST: Final = 128_000_000
LARGEST_JSON: Final = 16_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came back: outputs and the version that gave them, or an error; ``seconds`` is how long it took."""

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
        """Whether the request was refused as wrong, rather than lost."""
        return isinstance(self.error, StatusError) and self.error.code in CLEAN_REFUSALS

    @property
    def lost(self) -> bool:
        """Whether no answer came: in time, or at all."""
        return isinstance(self.error, (DeadlineExceededError, UnavailableError))

    @property
    def size(self) -> int:
        """Bytes of all outputs."""
        return sum(
            sum(map(len, array.reshape(-1))) if array.dtype.kind == "O" else array.nbytes
            for array in self.outputs.values()
        )

    @property
    def why(self) -> str:
        """The error's text with its code, empty without."""
        if self.error is None:
            return ""
        code = f"{self.error.code.name}: " if isinstance(self.error, StatusError) else ""
        return f"{code}{self.error.message}"


@dataclass(slots=True)
class Asker:
    """One version of one model, as it is asked: each case once over each way, unless ``again`` is wanted.

    A signature that did not answer in time, or whose server was lost, is not asked a second time over that way, so
    that a model that hangs costs one ``timeout`` and not one for each case; over REST it is not asked at all then. The
    same goes for one whose answer is far too large. What is not ordinary, such as edge values, only counts for itself.
    """

    model: str
    version: int
    grpc: Client
    rest: RestClient | None
    local: LocalRunner | None
    timeout: float
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)
    _lost: dict[tuple[str, str, bool | str], TfsDeployError] = field(default_factory=dict)

    @property
    def ways(self) -> tuple[str, ...]:
        """The transports of the server."""
        return (GRPC,) if self.rest is None else (GRPC, REST)

    @property
    def asks_local(self) -> bool:
        """Whether there is a local model to compare with."""
        return self.local is not None and self.local.ready()

    def ask(self, case: Case, way: str, *, timeout: float | None = None) -> Answer:
        """Return the answer to a case, sent if it was not before."""
        key = (case.signature, case.name, way)
        if key not in self.answers:
            self.answers[key] = self.again(case, way, timeout=timeout)
        return self.answers[key]

    def again(self, case: Case, way: str, *, timeout: float | None = None) -> Answer:
        """Send a case and return the answer."""
        lost = self._lost.get((case.signature, way, True)) or self._lost.get((case.signature, way, case.name))
        if lost is None and way == REST and (self.hangs(case.signature) or self._overflows(case.signature)):
            lost = self._lost[case.signature, GRPC, True]
        if lost is not None:
            return Answer(error=lost)
        began = time.perf_counter()
        try:
            outputs, version = self._send(case, way, self._patience(way) if timeout is None else timeout)
        except TfsDeployError as error:
            answer = Answer(error=error, seconds=time.perf_counter() - began)
            if answer.lost:
                self._lost[case.signature, way, case.ordinary or case.name] = error
            return answer
        answer = Answer(outputs, version, seconds=time.perf_counter() - began)
        if case.golden is None and answer.size > LARGEST:
            most = f"more than the {LARGEST / 1e6:.0f} MB that a made-up request may be answered with"
            overflow = ResourceExhaustedError(f"the answer has {answer.size / 1e6:.0f} MB, {most}")
            self._lost[case.signature, way, case.ordinary or case.name] = overflow
            return Answer(error=overflow, seconds=answer.seconds)
        return answer

    def _patience(self, way: str) -> float:
        """Return the seconds that an answer may take: less and less for a model that has failed by that already."""
        late = sum(isinstance(error, DeadlineExceededError) for key, error in self._lost.items() if key[1] == way)
        return max(self.timeout * 0.5**late, min(self.timeout, 1.0))

    def hangs(self, signature: str) -> bool:
        """Whether a signature did not answer in time over gRPC."""
        return isinstance(self._lost.get((signature, GRPC, True)), DeadlineExceededError)

    def _overflows(self, signature: str) -> bool:
        return isinstance(self._lost.get((signature, GRPC, True)), ResourceExhaustedError)

    def _send(self, case: Case, way: str, timeout: float) -> tuple[Mapping[str, NDArray[Any]], int | None]:
        if way == LOCAL:
            if self.local is None:
                raise UnavailableError("there is no local model")
            return self.local.predict(case.signature, case.inputs, timeout=timeout), self.version
        client = self.rest if way == REST else self.grpc
        if client is None:
            raise UnavailableError("the server has no REST API")
        reply = client.predict(self.model, case.inputs, signature=case.signature, version=self.version, timeout=timeout)
        return reply.outputs, reply.version


def not_over_rest(signature: SignatureInfo, case: Case, size: int = 0) -> str:
    """Say why a case cannot be asked over REST, empty if it can (util/json_tensor.cc); ``size``: of its answer."""
    if size > LARGEST_JSON:
        return f"the answer has {size / 1e6:.0f} MB, which are not asked for as JSON"
    specs = (*signature.inputs.values(), *signature.outputs.values())
    dtype = next((spec.dtype for spec in specs if spec.dtype in NOT_IN_JSON), None)
    if dtype is not None:
        return f"the REST API cannot carry {dtype}"
    if not case.inputs:
        return "the REST API cannot ask a signature without inputs"
    if case.rows == 0:
        return "the REST API cannot carry an empty batch"
    if case.binary and any(
        spec.dtype == "string" and not name.endswith("_bytes") for name, spec in signature.outputs.items()
    ):
        return "the REST API returns text that is no UTF-8 only from outputs called *_bytes"
    return ""
