# SPDX-License-Identifier: Apache-2.0
"""Models for the comparison of batch schedulers: each once plain, once with TensorFlow's BatchFunction around it.

Outputs: ``y``, and ``rows``, the number of rows of the batch that a row was computed in. Models: ``cheap``,
``work`` (a few layers: a batch is cheaper than its rows), ``spin`` (a run takes as many milliseconds as ``x[0]``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@dataclass(frozen=True)
class Parameters:
    """A batching configuration; ``max_execution`` splits large batches, and is the last of ``allowed`` then."""

    max_batch: int = 32
    timeout_micros: int = 1000
    threads: int = 2
    enqueued: int = 100
    allowed: tuple[int, ...] = ()
    max_execution: int = 0

    def text(self) -> str:
        """The batching parameters file; there the last size is always that of a batch before it is split."""
        sizes = (*self.allowed, self.max_batch) if self.allowed and self.max_execution else self.allowed
        lines = [
            f"max_batch_size {{ value: {self.max_batch} }}",
            f"batch_timeout_micros {{ value: {self.timeout_micros} }}",
            f"num_batch_threads {{ value: {self.threads} }}",
            f"max_enqueued_batches {{ value: {self.enqueued} }}",
            *(f"allowed_batch_sizes: {size}" for size in sizes),
        ]
        if self.max_execution:
            lines += ["enable_large_batch_splitting { value: true }"]
            lines += [f"max_execution_batch_size {{ value: {self.max_execution} }}"]
        return "\n".join(lines) + "\n"


def make(folder: Path, kind: str, parameters: Parameters | None) -> Path:
    """Write a model as version 1 below ``folder``, in a process of its own; ``parameters`` puts it into the op."""
    code = f"import batching_models as m; m.save({str(folder / '1')!r}, {kind!r}, {parameters and asdict(parameters)})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    return folder


def save(path: str, kind: str, parameters: dict | None) -> None:
    """Write one model; needs TensorFlow."""
    import tensorflow as tf

    weights = [tf.constant(tf.random.stateless_normal([512, 512], seed=(1, i)) * 0.04) for i in range(8)]

    def spin(x: tf.Tensor) -> tf.Tensor:
        end = tf.timestamp() + tf.cast(x[0], tf.float64) / 1000.0
        (last,) = tf.while_loop(lambda now: now < end, lambda _: [tf.timestamp()], [tf.timestamp()])
        return x + 0.0 * tf.cast(last, tf.float32)

    def work(x: tf.Tensor) -> tf.Tensor:
        y = tf.tile(x[:, None], [1, 512])
        for weight in weights:
            y = tf.tanh(y @ weight)
        return tf.reduce_sum(y, 1)

    functions = {"cheap": lambda x: x * 0.5 + 2.0, "work": work, "spin": spin}

    def body(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = tf.shape(x)[0]
        return functions[kind](x), tf.fill([size], size)

    if parameters is not None:
        given = Parameters(**parameters)
        options = {
            "max_enqueued_batches": given.enqueued,
            "allowed_batch_sizes": list(given.allowed) or None,
            "enable_large_batch_splitting": bool(given.max_execution),
        }
        body = tf.nondifferentiable_batch_function(given.threads, given.max_batch, given.timeout_micros, **options)(
            body
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serve(x: tf.Tensor) -> dict:
        y, rows = body(x)
        return {"y": y, "rows": rows}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, path, signatures=serve)
