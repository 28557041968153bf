# SPDX-License-Identifier: Apache-2.0
"""scikit-learn: trained estimators as a plain tf.Module; the original is scikit-learn itself."""

from __future__ import annotations

import warnings

import numpy as np

from zoo.specimen import Library, Specimen


def digits() -> Specimen:
    """A network for 8x8 digits: the classes as text and their probabilities."""
    import tensorflow as tf
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    data = load_digits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        trained = MLPClassifier((16,), max_iter=15, random_state=0).fit(data.data, data.target)

    class Digits(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [tf.Variable(each, dtype=tf.float64) for each in trained.coefs_]
            self.biases = [tf.Variable(each, dtype=tf.float64) for each in trained.intercepts_]
            self.words = tf.constant([f"digit {each}" for each in trained.classes_])

        @tf.function(input_signature=[tf.TensorSpec((None, 64), tf.float64, name="pixels")])
        def serving_default(self, pixels):
            hidden = tf.nn.relu(pixels @ self.weights[0] + self.biases[0])
            probabilities = tf.nn.softmax(hidden @ self.weights[1] + self.biases[1])
            return {"digit": tf.gather(self.words, tf.argmax(probabilities, 1)), "probabilities": probabilities}

    asked = data.data[:5]
    words = np.array([f"digit {each}".encode() for each in trained.predict(asked)], object)
    answer = {"digit": words, "probabilities": trained.predict_proba(asked)}
    return Specimen(Digits(), {"pixels": asked}, answer, rtol=1e-9, atol=1e-12)  # float64


def clusters() -> Specimen:
    """The nearest of ten centres (int32) and the distances to all of them."""
    import tensorflow as tf
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_iris

    flowers = load_iris().data
    trained = KMeans(10, n_init=1, max_iter=20, random_state=0).fit(flowers)

    class Clusters(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres = tf.Variable(trained.cluster_centers_)

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float64, name="flower")])
        def serving_default(self, flower):
            distances = tf.norm(flower[:, tf.newaxis] - self.centres, axis=2)
            return {"cluster": tf.argmin(distances, 1, tf.int32), "distances": distances}

    asked = flowers[::30]
    answer = {"cluster": trained.predict(asked), "distances": trained.transform(asked)}
    return Specimen(Clusters(), {"flower": asked}, answer, rtol=1e-6, atol=1e-7)  # scikit-learn expands the square


LIBRARY = Library(
    models={"digits": digits, "clusters": clusters},
    packages=("scikit-learn", "scipy", "joblib", "cloudpickle", "threadpoolctl", "narwhals"),
)
