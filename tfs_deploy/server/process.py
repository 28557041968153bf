"""The server as a process: from flags to open ports, and down again on a signal."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import EnvironmentFault, StatusError, TfsDeployError, UsageError
from tfs_deploy.server.core import CoreOptions, ServerCore
from tfs_deploy.server.dataplane import DataPlane
from tfs_deploy.server.grpc_adapter import GrpcServer
from tfs_deploy.server.loader import EngineLoader, LoaderOptions
from tfs_deploy.server.manager import ManagerOptions
from tfs_deploy.server.ports import bind, check_free
from tfs_deploy.server.rest_adapter import RestServer
from tfs_deploy.server.rest_handler import RestHandler
from tfs_deploy.server.validate import TENSORFLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.server.flags import ServerFlags

_log = logging.getLogger(__name__)

_ANY: Final = "0.0.0.0"  # noqa: S104 - the address that tensorflow_model_server binds
_PR_SET_PDEATHSIG: Final = 1


def initial_config(flags: ServerFlags) -> Any:
    """Return the first ModelServerConfig: of the config file, or made of --model_name and --model_base_path.

    Raises:
        UsageError: neither is given, or the file does not parse.
        EnvironmentFault: the file cannot be read.
    """
    if flags.text("model_config_file"):
        return read_config_file(Path(flags.text("model_config_file")))
    base_path = flags.text("model_base_path")
    if not base_path:
        raise UsageError(
            "no model to serve: neither --model_config_file nor --model_base_path is given",
            hint="--model_base_path is the directory that holds the numbered versions",
        )
    config = protos.ModelServerConfig()
    config.model_config_list.config.add(name=flags.text("model_name"), base_path=base_path, model_platform=TENSORFLOW)
    return config


def read_config_file(path: Path) -> Any:
    """Parse a ``models.config``; an empty one is refused, as by the server."""
    config = read_text_file(path, protos.ModelServerConfig(), "model config")
    if config.WhichOneof("config") is None and not path.read_text(encoding="utf-8").strip():
        raise UsageError(f"the model config file {path} is empty")
    return config


def session_config(flags: ServerFlags) -> bytes:
    """Build the ConfigProto of all sessions from the flags (model_servers/server.cc).

    Raises:
        UsageError: the flags contradict each other, or the file does not parse.
    """
    names = ("tensorflow_session_parallelism", "tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism")
    both, intra, inter = (flags.number(name) for name in names)
    if both and (intra or inter):
        raise UsageError(
            "--tensorflow_session_parallelism excludes --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism"
        )
    config = protos.ConfigProto()
    if flags.text("tensorflow_session_config_file"):
        read_text_file(Path(flags.text("tensorflow_session_config_file")), config, "session config")
    config.intra_op_parallelism_threads = both or intra or config.intra_op_parallelism_threads
    config.inter_op_parallelism_threads = both or inter or config.inter_op_parallelism_threads
    if flags.real("per_process_gpu_memory_fraction"):
        config.gpu_options.per_process_gpu_memory_fraction = flags.real("per_process_gpu_memory_fraction")
    data: bytes = config.SerializeToString()
    return data


def read_text_file(path: Path, message: Any, what: str) -> Any:
    """Read a text proto file into a message; both kinds of failure name the file."""
    from google.protobuf import text_format

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise EnvironmentFault(f"the {what} file {path} cannot be read: {reason}") from error
    try:
        return protos.parse_text(text, message)
    except text_format.ParseError as error:
        raise UsageError(
            f"the {what} file {path} does not parse: {error}",
            hint=f"it is a {message.DESCRIPTOR.name} in text format",
        ) from error


def make_core(flags: ServerFlags) -> ServerCore:
    """Build the core that the flags describe."""
    options = CoreOptions(
        poll_seconds=flags.number("file_system_poll_wait_seconds"),
        allow_labels_for_unavailable=flags.on("allow_version_labels_for_unavailable_models"),
        manager=ManagerOptions(
            load_threads=flags.number("num_load_threads"),
            unload_threads=flags.number("num_unload_threads"),
            load_retries=flags.number("max_num_load_retries"),
            retry_seconds=flags.number("load_retry_interval_micros") / 1e6,
        ),
    )
    loading = LoaderOptions(
        tags=tuple(tag for tag in flags.text("saved_model_tags").split(",") if tag),
        session_config=session_config(flags),
        warmup=flags.on("enable_model_warmup"),
        warmup_iterations=flags.number("num_request_iterations_for_warmup"),
    )
    return ServerCore(EngineLoader(loading), options)


class ServerProcess:
    """One server: ``start`` opens the ports after the models are loaded, ``stop`` drains and unloads."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._core = make_core(flags)
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self._poller: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Load the models, then open the ports.

        Raises:
            TfsDeployError: what is wrong, in one sentence.
        """
        flags = self._flags
        config = initial_config(flags)
        port, rest_port = flags.number("port"), flags.number("rest_api_port")
        if port == 0 and not flags.text("grpc_socket_path"):
            raise UsageError("no gRPC port: --port is 0 and --grpc_socket_path is empty")
        if port:
            check_free(_ANY, port, what="gRPC")
        if rest_port and rest_port != port:
            check_free(_ANY, rest_port, what="REST")
        try:
            self._core.reload(config)
        except StatusError as error:
            message = " ".join(error.message.split())
            raise UsageError(
                f"the models cannot be served: {error.code.name}: {message}", hint="tfs-deploy inspect shows a model"
            ) from error
        if self._stopping.is_set():
            return
        self._open(port, rest_port)
        self._start_config_poller()

    def _open(self, port: int, rest_port: int) -> None:
        flags = self._flags
        dataplane = DataPlane(
            self._core,
            tensor_content=flags.on("enable_serialization_as_tensor_content"),
            check_method=flags.on("enable_signature_method_name_check"),
        )
        self._grpc = GrpcServer(dataplane, threads=flags.number("grpc_max_threads"), options=_channel_options(flags))
        if port:
            check_free(_ANY, port, what="gRPC")
            self._grpc.listen(f"{_ANY}:{port}")
        if flags.text("grpc_socket_path"):
            self._grpc.listen(f"unix:{flags.text('grpc_socket_path')}")
        self._grpc.start()
        _log.info("gRPC listens on %s", f"{_ANY}:{port}" if port else flags.text("grpc_socket_path"))
        if rest_port and rest_port != port:
            self._rest = RestServer(
                RestHandler(dataplane),
                bind(_ANY, rest_port, what="REST"),
                threads=flags.number("rest_api_num_threads"),
                timeout=flags.number("rest_api_timeout_in_ms") / 1000,
                cors=flags.on("rest_api_enable_cors_support"),
            )
            self._rest.start()
            _log.info("REST listens on %s:%d", _ANY, rest_port)

    def _start_config_poller(self) -> None:
        seconds = self._flags.number("model_config_file_poll_wait_seconds")
        if seconds > 0 and self._flags.text("model_config_file"):
            self._poller = threading.Thread(
                target=self._poll_config, args=(seconds,), name="config-poller", daemon=True
            )
            self._poller.start()

    def _poll_config(self, seconds: int) -> None:
        """Read the config file again and again and apply it, changed or not (model_servers/server.cc)."""
        path = Path(self._flags.text("model_config_file"))
        said = ""
        while not self._stopping.wait(seconds):
            try:
                self._core.reload(read_config_file(path))
                said = ""
            except TfsDeployError as error:  # noqa: PERF203 - the next round may do better
                if error.message != said:
                    said = error.message
                    _log.error("the model config file is not applied: %s", " ".join(said.split()))

    def stop(self) -> None:
        """Close the ports, let requests end within --drain_seconds, unload all models."""
        self.abort()
        grace = self._flags.real("drain_seconds")
        if self._rest is not None:
            self._rest.stop(grace)
        if self._grpc is not None:
            self._grpc.stop(grace)
        self._core.stop()

    def abort(self) -> None:
        """Make a ``start`` that waits for models give up."""
        self._stopping.set()
        self._core.release()


def _channel_options(flags: ServerFlags) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = []
    for entry in filter(None, flags.text("grpc_channel_arguments").split(",")):
        key, _, value = entry.partition("=")
        options.append((key, int(value) if value.lstrip("-").isdigit() else value))
    return options


def exit_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent process ends (Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        raise EnvironmentFault("the process that started the server is gone")


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Set the event yielded on SIGTERM or SIGINT."""
    stop = threading.Event()
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def serve(flags: ServerFlags) -> None:
    """Run a server until a signal asks it to stop.

    Raises:
        TfsDeployError: it did not start.
    """
    if flags.on("exit_with_parent"):
        exit_with_parent()
    if flags.meaningless:
        _log.warning("these flags have no meaning here: %s", ", ".join(flags.meaningless))
    server = ServerProcess(flags)
    failure: list[TfsDeployError] = []
    started = threading.Event()

    def start() -> None:
        try:
            server.start()
        except TfsDeployError as error:
            failure.append(error)
        finally:
            started.set()

    with stop_signals() as stop:
        starter = threading.Thread(target=start, name="start", daemon=True)
        starter.start()
        while not stop.wait(0.2):
            if started.is_set() and failure:
                break
        server.abort()
        starter.join(30.0)
        if stop.is_set():
            _log.info("stopping")
        server.stop()
    if failure:
        raise failure[0]
