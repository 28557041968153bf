"""Routers: split requests over labels by weight, record them, and send copies to a candidate."""
