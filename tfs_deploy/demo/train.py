# SPDX-License-Identifier: Apache-2.0
"""Train and export the demo's three versions, in a process of its own: ``python -m tfs_deploy.demo.train FOLDER``.

Progress goes to stdout as JSON lines, one event each; TensorFlow's output stays on stderr, which the parent sends to a
log file. TensorFlow is imported inside functions only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.demo.digits import SEED, Digits, load_digits
from tfs_deploy.errors import TfsDeployError, file_hint
from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

#: held-out rows that become the goldens of each version
GOLDEN_ROWS = 32
SOFTMAX_EPOCHS = 15
CONVOLUTION_EPOCHS = 25


def emit(event: str, **facts: Any) -> None:
    """Send an event to the parent process."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def softmax_regression(keras: Any) -> Any:
    """Return version 1: one dense layer, the simplest model that works."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            layers.Rescaling(1 / 16),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="softmax_regression",
    )


def convolutional_net(keras: Any) -> Any:
    """Return version 2: two small convolutions before the dense layer."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            layers.Rescaling(1 / 16),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(24, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(48, 3, activation="relu", padding="same"),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="convolutional_net",
    )


def with_shuffled_output(keras: Any, model: Any) -> Any:
    """Return version 3: version 2 with the columns of its last layer reordered, as by a bug in a training job."""
    broken = keras.models.clone_model(model)
    broken.set_weights(model.get_weights())
    kernel, bias = broken.layers[-1].get_weights()
    order = np.roll(np.arange(10), 3)
    broken.layers[-1].set_weights([kernel[:, order], bias[order]])
    return broken


def fit(keras: Any, model: Any, digits: Digits, epochs: int, learning_rate: float) -> None:
    """Train a model, with an event after each epoch."""

    class Report(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            accuracy = float((logs or {}).get("accuracy", 0.0))
            emit("epoch", model=model.name, epoch=epoch + 1, epochs=epochs, accuracy=accuracy)

    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(digits.train_images, digits.train_labels, epochs=epochs, batch_size=32, verbose=0, callbacks=[Report()])


def signatures(model: Any) -> dict[str, Any]:
    """Return two signatures over the same variables: the prediction, and the three most likely classes."""
    import tensorflow as tf

    from tfs_deploy.export import Signature

    def predict(image: Any) -> dict[str, Any]:
        probabilities = model(image, training=False)
        return {"probabilities": probabilities, "label": tf.argmax(probabilities, axis=-1, output_type=tf.int64)}

    def best_three(image: Any) -> dict[str, Any]:
        values, labels = tf.math.top_k(model(image, training=False), k=3)
        return {"probabilities": values, "labels": tf.cast(labels, tf.int64)}

    image = {"image": ("float32", (None, 8, 8))}
    return {
        "serving_default": Signature(predict, inputs=image, outputs=("probabilities", "label")),
        "top3": Signature(best_three, inputs=image, outputs=("probabilities", "labels")),
    }


def reference(model: Any, digits: Digits) -> dict[str, Any]:
    """Return the model's answers in Keras for the held-out rows."""
    probabilities = model.predict(digits.test_images, verbose=0)
    return {"probabilities": probabilities, "label": probabilities.argmax(axis=-1).astype(np.int64)}


def versions(keras: Any, digits: Digits) -> Iterator[tuple[int, Any, dict[str, Any], str]]:
    """Train the versions in turn; yield number, model, expected answers and a description of each."""
    first = softmax_regression(keras)
    fit(keras, first, digits, SOFTMAX_EPOCHS, 0.01)
    yield 1, first, reference(first, digits), "softmax regression"
    second = convolutional_net(keras)
    fit(keras, second, digits, CONVOLUTION_EPOCHS, 0.002)
    expected = reference(second, digits)
    yield 2, second, expected, "convolutional net"
    # exported unchecked: the recorded answers are right, the weights are not
    yield 3, with_shuffled_output(keras, second), expected, "convolutional net, output weights shuffled"


def _recorded(folder: Path) -> dict[str, Any]:
    """Return the recorded answers of version 2, which version 3 would give too with the right weights."""
    from tfs_deploy.savedmodel.goldens import read_goldens

    return {golden.signature: golden for golden in read_goldens(folder / "models" / "digits" / "2")}


def main(folder: Path) -> None:
    """Train and export into ``folder/models/digits``; write Keras' answers to ``folder/reference``."""
    digits = load_digits()
    import_extra("tensorflow", "export")
    import keras

    from tfs_deploy.export import export_model

    keras.utils.set_random_seed(SEED)
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    np.savez(folder / "reference" / "rows.npz", image=digits.test_images, label=digits.test_labels)
    for number, model, expected, description in versions(keras, digits):
        accuracy = float((expected["label"] == digits.test_labels).mean())
        rows = {"image": digits.test_images[:GOLDEN_ROWS]}
        exported = export_model(
            model,
            folder / "models" / "digits",
            signatures=signatures(model),
            version=number,
            examples=_recorded(folder) if number == 3 else {"serving_default": rows, "top3": rows},
            check=number != 3,
            metadata={"description": description, "accuracy": accuracy, "rows": len(digits.test_labels)},
        )
        np.savez(folder / "reference" / f"{number}.npz", **expected)
        emit(
            "exported",
            version=exported.version,
            description=description,
            accuracy=accuracy,
        )


def run(folder: Path) -> None:
    """Call ``main`` and send the parent the reason of a failure in one line; the traceback goes to the log."""
    try:
        main(folder)
    except TfsDeployError as error:
        emit("failed", message=error.message, hint=error.hint)
        raise
    except OSError as error:
        emit("failed", message=f"{error.filename or folder}: {error.strerror or error}", hint=file_hint(error))
        raise
    except Exception as error:
        lines = str(error).splitlines() or [""]
        emit("failed", message=f"{type(error).__name__}: {lines[0]}", hint=None)
        raise


if __name__ == "__main__":
    run(Path(sys.argv[1]))
