# SPDX-License-Identifier: Apache-2.0
"""Measuring a served model: load, budgets, data sets and their metrics."""
