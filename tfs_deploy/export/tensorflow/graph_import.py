# SPDX-License-Identifier: Apache-2.0
"""Graphs of TensorFlow 1 in this TensorFlow, also where shapes noted at the time contradict what it infers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.savedmodel.graph.shape_hints import SHAPE_HINT, contradicts_shape_hints, drop_shape_hints

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

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
    logger.info("shapes noted in the graph contradict it and are left out (%s)", SHAPE_HINT)
    drop_shape_hints(definition)
    graph = tf.Graph()
    with graph.as_default():
        return graph, bring()
