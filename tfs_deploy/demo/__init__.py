"""The demo: one story, told with the public parts of the toolkit (see ``story``)."""

from __future__ import annotations
