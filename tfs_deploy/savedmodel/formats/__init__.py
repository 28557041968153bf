"""The file formats of a SavedModel, read without TensorFlow."""
