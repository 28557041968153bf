# SPDX-License-Identifier: Apache-2.0
"""Routers: split requests over labels by weight, record them, and send copies to a candidate."""
