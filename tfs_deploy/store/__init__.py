"""Version directories as a store: publish, copy, prune, identify. No TensorFlow."""
