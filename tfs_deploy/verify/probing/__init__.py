# SPDX-License-Identifier: Apache-2.0
"""Probing a model: the requests, and sending them over every transport and to the local model."""
