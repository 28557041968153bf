"""Graphs of TensorFlow 1 in this TensorFlow, also where shapes noted at the time contradict what it infers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
#: output shapes that ``add_shapes=True`` notes beside each node: a hint that no op reads, but the importer compares
SHAPE_HINT: Final = "_output_shapes"

logger = logging.getLogger(__name__)


def import_graph(definition: Any, bring: Callable[[], T]) -> tuple[Any, T]:
    """Return a graph in which ``bring`` imported ``definition`` (a GraphDef), and what ``bring`` returned.

    Shape hints that contradict the graph are dropped from ``definition``: TensorFlow 1 noted some that are wrong (the
    gradient of FusedBatchNorm). Raises what the importer raises.
    """
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        try:
            return graph, bring()
        except ValueError as error:
            if not contradicts_shape_hints(error):
                raise
    drop_shape_hints(definition)
    graph = tf.Graph()
    with graph.as_default():
        return graph, bring()


def contradicts_shape_hints(error: BaseException) -> bool:
    """Tell whether an import failed because of shape hints only."""
    return f"has an {SHAPE_HINT} attribute inconsistent" in str(error)


def drop_shape_hints(definition: Any) -> None:
    """Remove the shape hints of all nodes of a GraphDef."""
    logger.info("shapes noted in the graph contradict it and are left out (%s)", SHAPE_HINT)
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            if SHAPE_HINT in node.attr:
                del node.attr[SHAPE_HINT]
