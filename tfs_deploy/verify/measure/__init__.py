"""Measuring a served model: load, budgets, data sets and their metrics."""
