# SPDX-License-Identifier: Apache-2.0
"""basic-pitch: a SavedModel with trained weights that finds notes in sound."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from zoo.specimen import Library, Specimen


def notes() -> Specimen:
    import tensorflow as tf

    package = Path(importlib.util.find_spec("basic_pitch").origin).parent  # importing it looks for other runtimes
    saved = package / "saved_models" / "icassp_2022" / "nmp"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:  # its optimizer's state needs Keras 2 to be loaded
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(saved))
        signature = loaded.signature_def["serving_default"]
        ((name, sound),) = signature.inputs.items()
        time = np.arange(sound.tensor_shape.dim[1].size, dtype=np.float32) / 22050
        asked = np.sin(2 * np.pi * 440 * time, dtype=np.float32)[None, :, None]
        wanted = {key: tensor.name for key, tensor in signature.outputs.items()}
        answer = session.run(wanted, {sound.name: asked})
    return Specimen(str(saved), {name: asked}, answer, atol=1e-4)  # logarithms of a spectrum that is nearly silent


LIBRARY = Library(models={"notes": notes}, packages=("basic-pitch", "scipy"))
