# SPDX-License-Identifier: Apache-2.0
"""kapre: spectrograms as Keras layers."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, by_name


def sound() -> np.ndarray:
    time = np.arange(2048, dtype=np.float32) / 8000
    return np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)])[..., None].astype(np.float32)


def spectrum() -> Specimen:
    """A classifier over decibels."""
    import keras
    from kapre.composed import get_stft_magnitude_layer

    keras.utils.set_random_seed(1)
    waveform = keras.Input((2048, 1), name="waveform")
    hidden = get_stft_magnitude_layer((2048, 1), n_fft=256, hop_length=128, return_decibel=True)(waveform)
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(hidden))
    model = keras.Model(waveform, keras.layers.Dense(2, name="pitch")(hidden))
    asked = sound()
    return Specimen(model, {"waveform": asked}, by_name(("pitch",), model(asked)), atol=1e-3)  # logarithms near zero


def there_and_back() -> Specimen:
    """A complex spectrum inside, and the waveform again, of any length."""
    import keras
    from kapre.composed import get_perfectly_reconstructing_stft_istft

    forward, back = get_perfectly_reconstructing_stft_istft(256, 64, "channels_last", "channels_last")
    waveform = keras.Input((None, 1), name="waveform")
    model = keras.Model(waveform, keras.layers.Identity(name="again")(back(forward(waveform))))
    asked = sound()
    return Specimen(model, {"waveform": asked}, by_name(("again",), model(asked)))


LIBRARY = Library(models={"spectrum": spectrum, "there_and_back": there_and_back}, packages=("kapre",))
