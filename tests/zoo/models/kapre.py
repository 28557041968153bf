"""kapre: spectrograms as Keras layers."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, by_name


def sound() -> np.ndarray:
    time = np.arange(2048, dtype=np.float32) / 8000
    return np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)])[..., None].astype(np.float32)


def model_of(layer) -> Specimen:
    import keras

    waveform = keras.Input((2048, 1), name="waveform")
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3)(layer(waveform)))
    model = keras.Model(waveform, keras.layers.Dense(2, name="pitch")(hidden))
    asked = sound()
    # decibels: logarithms of sums that nearly cancel
    return Specimen(model, {"waveform": asked}, by_name(("pitch",), model(asked)), atol=1e-3)


def mel() -> Specimen:
    import keras
    from kapre.composed import get_melspectrogram_layer

    keras.utils.set_random_seed(1)
    return model_of(
        get_melspectrogram_layer(
            input_shape=(2048, 1), n_fft=256, hop_length=128, sample_rate=8000, n_mels=16, return_decibel=True
        )
    )


def stft() -> Specimen:
    import keras
    from kapre.composed import get_stft_magnitude_layer

    keras.utils.set_random_seed(2)
    return model_of(get_stft_magnitude_layer(input_shape=(2048, 1), n_fft=256, hop_length=128))


LIBRARY = Library(models={"mel": mel, "stft": stft}, packages=("kapre",))
