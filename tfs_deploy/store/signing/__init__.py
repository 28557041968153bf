# SPDX-License-Identifier: Apache-2.0
"""Signatures over versions and verdicts, as OpenSSF Model Signing (OMS) v1.0 defines them.

``sign`` writes them, ``trust`` judges a version by them; ``bundle`` is the format, ``keys`` and ``certificates`` are
the cryptography (extra ``signing``), which the others import on use.
"""
