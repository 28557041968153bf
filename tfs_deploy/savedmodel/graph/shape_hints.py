# SPDX-License-Identifier: Apache-2.0
"""Output shapes that TensorFlow 1 noted beside each node (``add_shapes=True``), some of them wrong.

No op reads them. Importers compare them with what they infer and refuse a graph that they contradict; a server does
neither (graph_constructor.cc, ``ValidateShape``).
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.scan import graph_file, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE_HINT: Final = "_output_shapes"


def contradicts_shape_hints(error: BaseException) -> bool:
    """Tell whether an import failed because of shape hints only."""
    return f"has an {SHAPE_HINT} attribute inconsistent" in str(error)


def drop_shape_hints(definition: Any) -> None:
    """Remove the shape hints of all nodes of a GraphDef (our message or TensorFlow's own)."""
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            if SHAPE_HINT in node.attr:
                del node.attr[SHAPE_HINT]


@contextlib.contextmanager
def without_shape_hints(version_dir: Path) -> Iterator[Path]:
    """Yield a temporary version directory: the graph without shape hints, and links to everything else."""
    graph = graph_file(version_dir)
    model = (
        read_text(graph) if graph.name == layout.SAVED_MODEL_TEXT else protos.SavedModel.FromString(graph.read_bytes())
    )
    for meta_graph in model.meta_graphs:
        drop_shape_hints(meta_graph.graph_def)
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-graph-") as temporary:
        folder = Path(temporary)
        for entry in version_dir.iterdir():
            if entry.name != graph.name:
                (folder / entry.name).symlink_to(entry.absolute())
        (folder / layout.SAVED_MODEL).write_bytes(model.SerializeToString())
        yield folder
