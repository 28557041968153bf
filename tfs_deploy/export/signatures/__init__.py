"""Signatures: what the caller asks for, and ready-made wrappers."""
