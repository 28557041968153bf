"""Signatures: what the caller asks for, bound to functions, and ready-made wrappers."""
