# SPDX-License-Identifier: Apache-2.0
"""One loaded meta graph: a TensorFlow session and the graph it runs."""

from __future__ import annotations

import ctypes
import functools
import re
import threading
import time
from ctypes import POINTER, c_char_p, c_void_p
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import FailedPreconditionError, InvalidArgumentError
from tfs_deploy.runtime.library import Library, TFBuffer, TFOutput, load_library
from tfs_deploy.runtime.op_libraries import load_op_libraries
from tfs_deploy.runtime.status import TfStatus, ThreadStatus
from tfs_deploy.runtime.tensors import from_tensor, to_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

#: RunOptions{inter_op_thread_pool: -1}: the graph runs in the caller's thread
_IN_CALLERS_THREAD: Final = b"\x18" + b"\xff" * 9 + b"\x01"
#: graphs that take less run in the caller's thread: the pool costs about 40 us of CPU, but only there branches run
#: in parallel and a deadline can cancel the run
_SHORT_SECONDS: Final = 0.001
#: a run in a caller's thread that takes this long makes the next ones of its kind run in the pool, with their deadline
_STUCK_SECONDS: Final = 0.05
_SMOOTHING: Final = 0.1
_UNKNOWN: Final = 1.0
#: what may follow the colon in a tensor's name
_INDEX: Final = re.compile(r"[0-9]{0,9}")


class _RunPlan:
    """The feeds and fetches of one kind of call, resolved once; ``seconds`` is how long its runs take."""

    __slots__ = ("begun", "feeds", "fetches", "inputs", "outputs", "seconds")

    def __init__(self, feeds: Sequence[TFOutput], fetches: Sequence[TFOutput]) -> None:
        self.feeds = (TFOutput * len(feeds))(*feeds)
        self.fetches = (TFOutput * len(fetches))(*fetches)
        self.inputs = c_void_p * len(feeds)
        self.outputs = c_void_p * len(fetches)
        self.seconds = _UNKNOWN
        #: when the runs that are going on in callers' threads began
        self.begun: list[float] = []

    def is_short(self, now: float) -> bool:
        """Tell whether the next run is likely to be short: the earlier ones were, and none of them is stuck."""
        return self.seconds < _SHORT_SECONDS and now - next(iter(self.begun), now) <= _STUCK_SECONDS

    def observe(self, seconds: float) -> None:
        """Take a run into account: the first counts in full (it optimises the graph), later ones smooth the mean."""
        self.seconds += (seconds - self.seconds) * (_SMOOTHING if self.seconds < _UNKNOWN else 0.9)


class Session:
    """A session over a SavedModel, loaded as TensorFlow Serving loads it; safe to run from many threads."""

    def __init__(self, library: Library, session: int, graph: int) -> None:
        self._library = library
        self._session = session
        self._graph = graph
        self._local = ThreadStatus(library)
        self._short = library.TF_NewBufferFromString(_IN_CALLERS_THREAD, len(_IN_CALLERS_THREAD))
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], _RunPlan] = {}
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._running = 0
        self._closed = False

    @classmethod
    def load(cls, path: Path, tags: Sequence[str], config: bytes = b"") -> tuple[Session, bytes]:
        """Load the meta graph with exactly these tags; return it with its serialized MetaGraphDef.

        Args:
            path: a version directory.
            tags: the meta graph's tags.
            config: a serialized tensorflow.ConfigProto, TensorFlow's defaults if empty.

        Raises:
            StatusError: with the code and text of TensorFlow's loader.
            EnvironmentFault: a library of custom ops cannot be loaded.
        """
        library = load_library()
        load_op_libraries(library)
        status = TfStatus(library)
        options = library.TF_NewSessionOptions()
        graph = library.TF_NewGraph()
        meta_graph = library.TF_NewBuffer()
        names = [tag.encode() for tag in tags]
        try:
            library.TF_SetConfig(options, config, len(config), status.raw)
            status.check()
            tag_array = (c_char_p * len(names))(*names)
            session = library.TF_LoadSessionFromSavedModel(
                options, None, str(path).encode(), tag_array, len(names), graph, meta_graph, status.raw
            )
            error = status.error()
            if error is not None:
                library.TF_DeleteGraph(graph)
                raise error
            content = ctypes.cast(meta_graph, POINTER(TFBuffer))[0]
            return cls(library, session, graph), ctypes.string_at(content.data, content.length)
        finally:
            library.TF_DeleteBuffer(meta_graph)
            library.TF_DeleteSessionOptions(options)

    def run(
        self, feeds: Mapping[str, np.ndarray[Any, Any]], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[np.ndarray[Any, Any]]:
        """Run the graph.

        Args:
            feeds: arrays by tensor name (``x:0``); quantized ones in wire form, as the results.
            fetches: tensor names.
            timeout: seconds after which a run in TensorFlow's pool is cancelled.

        Raises:
            StatusError: with TensorFlow's code and text; ``DeadlineExceededError`` after the timeout.
        """
        self._enter()
        try:
            return self._feed(self._plan(tuple(feeds), tuple(fetches)), feeds, timeout)
        finally:
            self._leave()

    def _feed(
        self, plan: _RunPlan, feeds: Mapping[str, np.ndarray[Any, Any]], timeout: float | None
    ) -> list[np.ndarray[Any, Any]]:
        library = self._library
        inputs = plan.inputs()
        try:
            for index, array in enumerate(feeds.values()):
                inputs[index] = to_tensor(library, array)
            return self._run(plan, inputs, timeout)
        finally:
            for tensor in inputs:
                if tensor:
                    library.TF_DeleteTensor(tensor)

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise FailedPreconditionError("Session has been closed.")
            self._running += 1

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
            if self._closed and not self._running:
                self._idle.set()

    def _run(self, plan: _RunPlan, inputs: Any, timeout: float | None) -> list[np.ndarray[Any, Any]]:
        library = self._library
        status = self._local.status
        outputs = plan.outputs()
        started = time.perf_counter()
        short = plan.is_short(started)
        if short:
            plan.begun.append(started)
        options = self._short if short else _run_options(library, timeout)
        try:
            library.TF_SessionRun(
                *(self._session, options, plan.feeds, inputs, len(plan.feeds)),
                *(plan.fetches, outputs, len(plan.fetches), None, 0, None, status.raw),
            )
        finally:
            if short:
                plan.begun.remove(started)
            elif options:
                library.TF_DeleteBuffer(options)
        plan.observe(time.perf_counter() - started)
        status.check()
        return self._take(list(outputs))

    def _take(self, tensors: list[int]) -> list[np.ndarray[Any, Any]]:
        """Turn results into arrays; whatever happens, no tensor is left over."""
        arrays = []
        try:
            while tensors:
                arrays.append(from_tensor(self._library, tensors.pop(0)))
        finally:
            for tensor in tensors:
                self._library.TF_DeleteTensor(tensor)
        return arrays

    def _plan(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _RunPlan:
        plan = self._plans.get((feeds, fetches))
        if plan is None:
            plan = _RunPlan(*([self._output(name) for name in names] for names in (feeds, fetches)))
            self._plans[feeds, fetches] = plan
        return plan

    def _output(self, name: str) -> TFOutput:
        operation, _, index = name.partition(":")
        oper = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        if not oper or not _INDEX.fullmatch(index):
            raise InvalidArgumentError(
                f"Tensor {name}, specified in either feed_devices or fetch_devices was not found in the Graph"
            )
        return TFOutput(oper, int(index or 0))

    def close(self) -> None:
        """Wait for running calls, then free the session, its variables and the graph."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._running:
                self._idle.set()
        self._idle.wait()
        library = self._library
        status = TfStatus(library)
        library.TF_CloseSession(self._session, status.raw)
        library.TF_DeleteSession(self._session, status.raw)
        library.TF_DeleteGraph(self._graph)
        library.TF_DeleteBuffer(self._short)
        release_memory()


def _run_options(library: Library, timeout: float | None) -> int | None:
    """Return RunOptions{timeout_in_ms} of at least 1, as 0 means no timeout; ``None`` without a timeout."""
    if timeout is None:
        return None
    value = max(1, int(timeout * 1000))
    encoded = bytearray(b"\x10")
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    options: int = library.TF_NewBufferFromString(bytes(encoded), len(encoded))
    return options


#: M_MMAP_THRESHOLD of mallopt(3)
_MMAP_THRESHOLD: Final = -3


def return_large_blocks(size: int) -> None:
    """Return blocks of memory of at least ``size`` bytes to the system when they are freed (glibc).

    Left alone glibc raises that threshold with every large block it frees, and keeps such blocks in pieces.
    """
    getattr(ctypes.CDLL(None), "mallopt", lambda _key, _value: 0)(_MMAP_THRESHOLD, size)


@functools.lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda _pad: 0)


def release_memory() -> None:
    """Give freed memory back to the system (glibc keeps it otherwise), as the model server does after an unload."""
    _malloc_trim()(0)
