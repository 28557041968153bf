# SPDX-License-Identifier: Apache-2.0
"""One module a library: ``LIBRARY`` says what it needs, and a function a model builds it."""
