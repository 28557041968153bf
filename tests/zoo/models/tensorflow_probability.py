# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Probability: what distributions compute, as functions."""

from __future__ import annotations

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen, rows


def mixture() -> Specimen:
    """Log density and the share of each component of a mixture of Gaussians in two dimensions."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    parts = tfd.MultivariateNormalDiag(tf.Variable([[0.0, 0.0], [3.0, 1.0]]), tf.Variable([[1.0, 0.5], [0.3, 2.0]]))
    density = tfd.MixtureSameFamily(tfd.Categorical(probs=tf.Variable([0.3, 0.7])), parts)

    class Mixture(tf.Module):
        def __init__(self):
            super().__init__()
            self.density = density

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="point")])
        def serving_default(self, point):
            posterior = self.density.posterior_marginal(point).probs_parameter()
            return {"log_density": self.density.log_prob(point), "share": posterior}

    asked = rows(5, 2) * 4
    share = density.posterior_marginal(asked).probs_parameter().numpy()
    return Specimen(Mixture(), {"point": asked}, {"log_density": density.log_prob(asked).numpy(), "share": share})


def hidden_markov() -> Specimen:
    """The most likely states of a hidden Markov model (int32)."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    weather = tfd.HiddenMarkovModel(
        tfd.Categorical(probs=[0.8, 0.2]),
        tfd.Categorical(probs=[[0.7, 0.3], [0.2, 0.8]]),
        tfd.Normal(loc=[0.0, 15.0], scale=[5.0, 10.0]),
        num_steps=6,
    )
    module = tf.Module()
    module.serving_default = tf.function(
        lambda degrees: {"state": weather.posterior_mode(degrees), "log_density": weather.log_prob(degrees)},
        input_signature=[tf.TensorSpec((None, 6), tf.float32, name="degrees")],
    )
    asked = rows(3, 6) * 30
    answer = {"state": weather.posterior_mode(asked).numpy(), "log_density": weather.log_prob(asked).numpy()}
    return Specimen(module, {"degrees": asked}, answer)


def gaussian_process() -> Specimen:
    """Mean and deviation of a Gaussian process given observations (float64, with a Cholesky decomposition)."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    seen = np.linspace(0, 6, 9)[:, None]
    kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(np.float64(1.0), np.float64(1.2))

    def process(points):
        return tfp.distributions.GaussianProcessRegressionModel(
            kernel, points, seen, np.sin(seen[:, 0]), observation_noise_variance=np.float64(1e-3)
        )

    module = tf.Module()
    module.serving_default = tf.function(
        lambda point: {"mean": process(point).mean(), "deviation": process(point).stddev()},
        input_signature=[tf.TensorSpec((None, 1), tf.float64, name="point")],
    )
    asked = np.array([[0.5], [2.0], [7.0]])
    answer = {"mean": process(asked).mean().numpy(), "deviation": process(asked).stddev().numpy()}
    return Specimen(module, {"point": asked}, answer, rtol=1e-7, atol=1e-9)


LIBRARY = Library(
    models={"mixture": mixture, "hidden_markov": hidden_markov, "gaussian_process": gaussian_process},
    packages=("tensorflow-probability", "tf-keras", "dm-tree", "decorator", "scipy", "cloudpickle"),
    environment=KERAS_2,
)
