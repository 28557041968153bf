# SPDX-License-Identifier: Apache-2.0
"""What ``saved_model.pb`` holds, read into plain facts without TensorFlow."""
