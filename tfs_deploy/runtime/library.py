# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's C library, bound through ctypes: what TensorFlow Serving runs, without TensorFlow's Python package.

The ``tensorflow`` wheel ships the whole runtime behind the stable C API (tensorflow/c/c_api.h). Loading that takes
0.3 s and gives the C++ SavedModel loader and kernels that the model server uses, with their own error texts; calls
release the interpreter lock. Importing the Python package takes 2 s and brings another loader.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import logging
import os
import re
import sys
import tempfile
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, MissingExtraError
from tfs_deploy.text import install_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

_SUFFIX: Final = {"darwin": ".2.dylib"}.get(sys.platform, ".so.2")
_LOG_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"
#: TF_CPP_MIN_LOG_LEVEL where the caller does not set it: errors come as exceptions anyway
_QUIET: Final = "3"
#: TensorFlow's own allocator for large tensors never gives memory back, not even that of a model which is unloaded
_SYSTEM_ALLOCATOR: Final = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
#: information lines of absl's log, and its warning that there will be some
_FIRST_LINES: Final = re.compile(rb"I\d{4} \S+ +\d+ \S+\] |WARNING: All log messages before absl::InitializeLog")
#: tensorflow::DisableXlaCompilation() (tensorflow/compiler/jit/flags.h), by its linker name
_DISABLE_XLA: Final = "_ZN10tensorflow21DisableXlaCompilationEv"
XLA_FLAG: Final = "xla_cpu_compilation_enabled"


class TFOutput(ctypes.Structure):
    """``TF_Output``: one output of one operation."""

    _fields_ = (("oper", c_void_p), ("index", c_int))


class TFBuffer(ctypes.Structure):
    """``TF_Buffer``: bytes that the library owns."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


#: function -> (result, arguments), as in tensorflow/c/c_api.h, tf_status.h, tf_buffer.h, tf_tensor.h, tf_tstring.h
_PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "TF_Version": (c_char_p, ()),
    "TF_NewStatus": (c_void_p, ()),
    "TF_DeleteStatus": (None, (c_void_p,)),
    "TF_GetCode": (c_int, (c_void_p,)),
    "TF_Message": (c_char_p, (c_void_p,)),
    "TF_NewBuffer": (c_void_p, ()),
    "TF_NewBufferFromString": (c_void_p, (c_char_p, c_size_t)),
    "TF_DeleteBuffer": (None, (c_void_p,)),
    "TF_NewGraph": (c_void_p, ()),
    "TF_DeleteGraph": (None, (c_void_p,)),
    "TF_GraphOperationByName": (c_void_p, (c_void_p, c_char_p)),
    "TF_OperationNumOutputs": (c_int, (c_void_p,)),
    "TF_OperationOutputType": (c_int, (TFOutput,)),
    "TF_NewSessionOptions": (c_void_p, ()),
    "TF_SetConfig": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "TF_DeleteSessionOptions": (None, (c_void_p,)),
    "TF_LoadLibrary": (c_void_p, (c_char_p, c_void_p)),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        (c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, c_void_p),
    ),
    "TF_CloseSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteSession": (None, (c_void_p, c_void_p)),
    "TF_SessionRun": (
        None,
        (
            *(c_void_p, c_void_p),
            *(POINTER(TFOutput), POINTER(c_void_p), c_int),
            *(POINTER(TFOutput), POINTER(c_void_p), c_int),
            *(POINTER(c_void_p), c_int),
            *(c_void_p, c_void_p),
        ),
    ),
    "TF_AllocateTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_size_t)),
    "TF_NewTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_void_p, c_size_t, c_void_p, c_void_p)),
    "TF_DeleteTensor": (None, (c_void_p,)),
    "TF_TensorData": (c_void_p, (c_void_p,)),
    "TF_TensorByteSize": (c_size_t, (c_void_p,)),
    "TF_TensorType": (c_int, (c_void_p,)),
    "TF_NumDims": (c_int, (c_void_p,)),
    "TF_Dim": (c_int64, (c_void_p, c_int)),
    "TF_StringInit": (None, (c_void_p,)),
    "TF_StringCopy": (None, (c_void_p, c_char_p, c_size_t)),
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
    "TF_StringGetSize": (c_size_t, (c_void_p,)),
    "TF_StringDealloc": (None, (c_void_p,)),
}


#: functions that may take long: they run without the interpreter lock. The others end before another
#: thread could take the lock, and releasing it a dozen times per request costs more than the request.
_SLOW: Final = frozenset(
    {
        "TF_CloseSession",
        "TF_DeleteGraph",
        "TF_DeleteSession",
        "TF_LoadSessionFromSavedModel",
        "TF_SessionRun",
    }
)


class Library:
    """The bound functions, as attributes named as in C."""

    def __init__(self, path: str) -> None:
        slow, quick = ctypes.CDLL(path), ctypes.PyDLL(path)
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(slow if name in _SLOW else quick, name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
        self.version: str = self.TF_Version().decode()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@functools.lru_cache(maxsize=1)
def load_library() -> Library:
    """Load TensorFlow's C library, quietly unless ``TF_CPP_MIN_LOG_LEVEL`` says otherwise.

    Raises:
        MissingExtraError: the package ``tensorflow`` is not installed.
        EnvironmentFault: its library cannot be loaded, or lacks the C API.
    """
    folder = _package_folder()
    os.environ.setdefault(_LOG_LEVEL, _QUIET)
    os.environ.setdefault(_SYSTEM_ALLOCATOR, "1")
    try:
        with quiet_start():
            framework = ctypes.CDLL(str(folder / f"libtensorflow_framework{_SUFFIX}"))
        _set_log_level(framework, folder)
        return Library(str(folder / f"libtensorflow_cc{_SUFFIX}"))
    except (OSError, AttributeError) as error:
        raise EnvironmentFault(
            f"TensorFlow's C library in {folder} cannot be loaded: {error}",
            hint=f"install tensorflow 2.16 or newer from its official wheel: {install_extra('server')}",
        ) from error


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep TensorFlow's first log lines from stderr; everything else that is written there stays.

    They (CPU features, missing GPU drivers) are written while the library is loaded, at any log level.
    """
    wanted = os.environ[_LOG_LEVEL]
    try:
        before = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    with _file_in_memory() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            lines = kept.read().splitlines(keepends=True)
            _write_all(2, b"".join(line for line in lines if wanted in ("", "0") or not _FIRST_LINES.match(line)))


def _file_in_memory() -> IO[bytes]:
    """Open a file of no directory where the system has such: a hardened container may have nowhere to write."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


def _write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def disable_xla() -> None:
    """Make this process refuse everything that XLA would compile, with "XLA compilation disabled", until it ends.

    The server does so unless a flag enables XLA (model_servers/main.cc, ``tensorflow::DisableXlaCompilation``).

    Raises:
        EnvironmentFault: the library does not offer it.
    """
    load_library()
    path = _package_folder() / f"libtensorflow_cc{_SUFFIX}"
    try:
        disable = ctypes.CDLL(str(path))[_DISABLE_XLA]
    except AttributeError as error:
        raise EnvironmentFault(
            f"{path} cannot switch XLA off, as the server does without --{XLA_FLAG}=true",
            hint=f"install tensorflow 2.16 or newer from its official wheel, or give --{XLA_FLAG}=true",
        ) from error
    disable.argtypes = ()
    disable.restype = None
    disable()


def _package_folder() -> Path:
    # find_spec of a top-level package does not run its __init__, which is the 2 s to save
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("tensorflow", "server")
    return Path(next(iter(spec.submodule_search_locations)))


def _set_log_level(framework: ctypes.CDLL, folder: Path) -> None:
    """Apply ``TF_CPP_MIN_LOG_LEVEL`` to absl's log, which TensorFlow itself does only after its first lines.

    The function's linker name holds the release of abseil, which the wheel's own headers tell.
    """
    try:
        options = (folder / "include/absl/base/options.h").read_text(encoding="utf-8")
    except OSError:
        options = ""
    found = re.search(r"define ABSL_OPTION_INLINE_NAMESPACE_NAME (\w+)", options)
    namespace = found[1] if found else "head"
    symbol = f"_ZN4absl{len(namespace)}{namespace}14SetMinLogLevelENS0_18LogSeverityAtLeastE"
    try:
        set_level = getattr(framework, symbol)
    except AttributeError:
        _log.debug("TensorFlow's first log lines cannot be silenced: symbol %s not found", symbol)
        return
    set_level.argtypes = (c_int,)
    set_level.restype = None
    value = os.environ[_LOG_LEVEL]
    set_level(int(value) if value.isdigit() else 0)
