"""Work around TensorFlow itself: checkpoints, checksums while it writes, its log output."""
