"""What ``saved_model.pb`` holds, read into plain facts without TensorFlow."""
