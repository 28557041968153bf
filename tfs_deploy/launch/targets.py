"""The launch target that a deployment file names. A new kind is an entry of ``_TARGETS`` and a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.launch.embedded.record import running_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.launch.target import LaunchTarget

    Progress = Callable[[str, int, int], None]


def target_of(
    deployment: Deployment, *, progress: Progress | None = None, timeout: float | None = None
) -> LaunchTarget[Any]:
    """Return where a deployment's servers run; ``EnvironmentFault`` if that cannot be used.

    Args:
        deployment: its file names the target.
        progress: is called during a download that a start waits for: what, bytes done, bytes in all.
        timeout: seconds that a container engine may take for an answer, ``None`` for as long as a start may take.
    """
    return _TARGETS[deployment.server.target](deployment, progress, timeout)


def _embedded(deployment: Deployment, _progress: Progress | None, _timeout: float | None) -> LaunchTarget[Any]:
    from tfs_deploy.launch.embedded.target import EmbeddedTarget

    return EmbeddedTarget(deployment)


def _docker(deployment: Deployment, progress: Progress | None, timeout: float | None) -> LaunchTarget[Any]:
    from tfs_deploy.launch.docker.engine import DockerEngine
    from tfs_deploy.launch.docker.target import DockerTarget

    return DockerTarget(
        deployment, DockerEngine() if timeout is None else DockerEngine(timeout=timeout), progress=progress
    )


#: the imports are inside: a command loads the code of one target
_TARGETS: Final[dict[str, Callable[[Deployment, Progress | None, float | None], LaunchTarget[Any]]]] = {
    "embedded": _embedded,
    "docker": _docker,
}


def find_server(deployment: Deployment) -> StartedServer | None:
    """Return the server in use of a deployment if it runs."""
    return target_of(deployment).current()


def every_target_of(deployment: Deployment) -> list[LaunchTarget[Any]]:
    """Return where a deployment's servers may run: the target of its file, and processes of this machine.

    The file may have named ``embedded`` when the server was started; looking for a process costs one file.
    """
    found = [target_of(deployment)]
    return found if deployment.server.target == "embedded" else [*found, _embedded(deployment, None, None)]


def other_server(deployment: Deployment) -> UsageError | None:
    """Return the error for a running server of another target than the deployment file names, None without one."""
    if deployment.server.target == "embedded":
        return None
    other = running_server(deployment.state_dir)
    if other is None:
        return None
    hint = f"stop it first: tfs-deploy down {deployment.source}"
    return UsageError(f"the embedded {other.name} of this deployment is still running", hint=hint)
