# SPDX-License-Identifier: Apache-2.0
"""Faults on purpose, for tests of what calls a server: models that answer with an error, or late."""

from __future__ import annotations

import contextlib
import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfs_deploy.errors import StatusError

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Fault:
    """What happens to requests for a model: ``error`` for ``left`` of them (None: all), ``seconds`` before each."""

    model: str
    error: StatusError | None = None
    left: int | None = None
    seconds: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The faults in force, in front of a data plane's ``find``, through which every request for a model goes."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def before(self, find: Callable[[str, int | None, str | None], T]) -> Callable[[str, int | None, str | None], T]:
        """Return ``find`` with the faults of its model before it."""

        def found(model: str, version: int | None, label: str | None) -> T:
            for fault in tuple(self._faults):
                if fault.model == model:
                    fault.over.wait(fault.seconds)
                    self._fail(fault)
            return find(model, version, label)

        return found

    @contextlib.contextmanager
    def during(
        self, model: str, *, error: StatusError | None = None, times: int | None = None, seconds: float = 0.0
    ) -> Iterator[None]:
        """Disturb the requests for a model inside the block; requests that wait at its end go on at once."""
        fault = _Fault(model, error, times, seconds)
        self._faults.append(fault)
        try:
            yield
        finally:
            self._faults.remove(fault)
            fault.over.set()

    def _fail(self, fault: _Fault) -> None:
        with self._lock:
            if fault.error is None or fault.left == 0:
                return
            if fault.left is not None:
                fault.left -= 1
        raise copy.copy(fault.error)  # an error of its own for each thread
