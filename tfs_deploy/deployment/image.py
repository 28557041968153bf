# SPDX-License-Identifier: Apache-2.0
"""Names of container images, and what the name of a TensorFlow Serving image says about the server in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_REFERENCE: Final = re.compile(
    r"(?P<repository>[a-z0-9][a-z0-9._\-]*(?::[0-9]+(?=/))?(?:/[a-z0-9][a-z0-9._\-]*)*?)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?(?![0-9.])")
_HUB: Final = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
#: the official image (tools/docker/Dockerfile of TensorFlow Serving)
STOCK: Final = "tensorflow/serving"
_MOVING: Final = ("latest", "nightly")


@dataclass(frozen=True, slots=True)
class Image:
    """A reference to an image: ``repository[:tag][@sha256:...]``."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Image | None:
        """Read a reference; None if it is not valid."""
        match = _REFERENCE.fullmatch(text)
        return None if match is None else cls(match["repository"], match["tag"], match["digest"])

    @property
    def stock(self) -> bool:
        """Whether this is the official image, also from a mirror that keeps its name."""
        name = self.repository
        for prefix in _HUB:
            name = name.removeprefix(prefix)
        return name == STOCK or name.endswith(f"/{STOCK}")

    @property
    def moving(self) -> bool:
        """Whether the reference is mutable: it may name another image tomorrow."""
        return self.digest is None and (self.tag is None or self.tag.startswith(_MOVING))

    @property
    def gpu(self) -> bool | None:
        """Whether the official image is built for GPUs; None where the tag cannot tell."""
        if not self.stock or self.tag is None:
            return None
        return "gpu" in self.tag.split("-")

    @property
    def release(self) -> tuple[int, int] | None:
        """The release X.Y of the server in the official image; None where the tag cannot tell."""
        match = _RELEASE.match(self.tag or "") if self.stock else None
        return None if match is None else (int(match[1]), int(match[2]))

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"
