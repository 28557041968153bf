"""Asking a model over every transport and in this machine, and what it is asked."""
