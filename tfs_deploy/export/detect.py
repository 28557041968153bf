"""What kind of thing a source is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.names import did_you_mean
from tfs_deploy.export.source import Source, TracedSource

if TYPE_CHECKING:
    from tfs_deploy.export.signature import Signature

Signatures = "Mapping[str, Signature] | None"


def open_source(source: Any, kind: str | None, signatures: Mapping[str, Signature] | None) -> Source:
    """Detect what ``source`` is (or take ``kind``) and prepare it for writing; raises ``UsageError``."""
    found = kind or detect(source)
    if found not in OPENERS:
        raise UsageError(f"{found!r} is not a kind of source", hint=did_you_mean(found, OPENERS))
    return OPENERS[found](source, signatures)


def detect(source: Any) -> str:
    """Name the kind of a source; raises ``UsageError`` if it is none."""
    import tensorflow as tf

    from tfs_deploy.export.keras_source import is_keras

    functions = list(source.values()) if isinstance(source, Mapping) else [source]
    if is_keras(source):
        return "keras"
    if functions and all(isinstance(one, tf.types.experimental.GenericFunction) for one in functions):
        return "functions"
    if isinstance(source, tf.Module) or isinstance(source, tf.__internal__.tracking.Trackable):
        return "module"
    raise UsageError(
        f"a {type(source).__name__} is nothing that can be exported",
        hint=f"kinds of sources: {', '.join(sorted(OPENERS))}",
    )


def _keras(source: Any, signatures: Mapping[str, Signature] | None) -> Source:
    from tfs_deploy.export.keras_source import bind_keras

    return TracedSource(bind_keras(source, signatures))


def _module(source: Any, signatures: Mapping[str, Signature] | None) -> Source:
    from tfs_deploy.export.module_source import bind_module

    return TracedSource(bind_module(source, signatures))


def _functions(source: Any, signatures: Mapping[str, Signature] | None) -> Source:
    from tfs_deploy.export.module_source import bind_functions

    return TracedSource(bind_functions(source, signatures))


OPENERS: Final[dict[str, Callable[[Any, Mapping[str, Signature] | None], Source]]] = {
    "keras": _keras,
    "module": _module,
    "functions": _functions,
}
