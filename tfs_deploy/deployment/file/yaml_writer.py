# SPDX-License-Identifier: Apache-2.0
"""YAML text that every reader takes for the same values, whether it follows YAML 1.1 or 1.2."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

#: what the two versions of YAML may take for a number, a date or a special float: 1e3, 0o17, .inf, 2024-01-01
_LIKE_A_NUMBER: Final = re.compile(
    r"[-+]?\.?[0-9][-+0-9a-fA-FxoTZtz_.: ]*|[-+]?\.(inf|nan)", re.DOTALL | re.IGNORECASE | re.ASCII
)
#: booleans of YAML 1.1 that PyYAML does not know
_OLD_BOOLS: Final = frozenset("yYnN")


class _Dumper(yaml.SafeDumper):
    """Quotes texts that look like numbers; repeats values instead of naming them by an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's interface
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = _LIKE_A_NUMBER.fullmatch(text) or text in _OLD_BOOLS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if quoted else None)


_Dumper.add_representer(str, _text)


def write_yaml(document: dict[str, Any], *, one_line: bool = False) -> str:
    """Return a document as YAML, keys in their order; ``one_line``: in braces, where it has texts of one line only.

    PyYAML quotes by the rules of YAML 1.1; ``read_yaml``, Compose and Prometheus read by others, and would take a
    plain ``1e3`` for a number.
    """
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1 << 20, default_flow_style=one_line)
    return text
