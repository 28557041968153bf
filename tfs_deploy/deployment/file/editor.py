# SPDX-License-Identifier: Apache-2.0
"""What editors need to help with a deployment file: its JSON Schema, and the line of a file that names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

#: written by scripts/make_reference
SCHEMA_FILE: Final = Path(__file__).with_name("deployment.schema.json")
_PLAIN: Final = re.compile(r"[!-~]+")


def schema_comment(folder: Path | None = None) -> str:
    """Return the line by which yaml-language-server finds the schema of a deployment file in ``folder``.

    It names the installed schema, so that it works without a network and fits the installed release: by a relative path
    where the environment is inside the folder, so that the folder can be moved, else (None too) by an absolute one. A
    path with spaces is written as an address, as the language server takes the text up to the first one.
    """
    place = SCHEMA_FILE.absolute()
    if folder is not None and place.is_relative_to(folder.absolute()):
        relative = place.relative_to(folder.absolute()).as_posix()
        if _PLAIN.fullmatch(relative):
            return f"# yaml-language-server: $schema={relative}\n"
    text = str(place) if _PLAIN.fullmatch(str(place)) else place.as_uri()
    return f"# yaml-language-server: $schema={text}\n"
