# SPDX-License-Identifier: Apache-2.0
"""The calls that a model offers, with what it knows of their inputs, and signatures bound to them."""
