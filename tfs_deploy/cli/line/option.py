# SPDX-License-Identifier: Apache-2.0
"""Options of the command line: each can also be set by an environment variable, and says in words what it takes."""

from __future__ import annotations

import functools
import os
import re
import shlex
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX: Final = "TFS_DEPLOY"
#: how click writes mistakes, kinds and limits of numbers -> in words
_WORDS: Final = (
    (re.compile(r"Got unexpected extra (arguments?) \((.*)\)"), r"Unexpected \1: \2"),
    (re.compile(r"Missing argument '\{.*\}'\. Choose from: (.*)"), r"Missing argument: one of \1"),
    (re.compile(r"requires an argument"), "needs a value"),
    (re.compile(r"\b(\d+)\.0(?= is not in the range)"), r"\1"),
    (re.compile(r"\b(\d+)\.0(?=(?:<=x<=|\.?$))"), r"\1"),
    (re.compile(r"not a valid (?:float range|float)\b"), "not a valid number"),
    (re.compile(r"not a valid (?:integer range|integer)\b"), "not a valid whole number"),
    (re.compile(r"(?:in the range )?\bx>=([\d.]+)"), r"at least \1"),
    (re.compile(r"(?:in the range )?\bx>([\d.]+)"), r"above \1"),
    (re.compile(r"\b([\d.]+)<=x<=([\d.]+)"), r"\1 to \2"),
)
#: a whole number that is written as a fraction: 10.0
_WHOLE: Final = re.compile(r"\b(\d+)\.0\b")
_REMARKS: Final = re.compile(r"\[[^\[\]]*\]$")


def variable(command_path: str, option_name: str) -> str:
    """Return the variable of an option: ``TFS_DEPLOY_UP_TIMEOUT`` is that of ``tfs-deploy up --timeout``."""
    words = [*command_path.split()[1:], option_name.lstrip("-")]
    return "_".join([PREFIX, *(re.sub(r"\W", "_", word).upper() for word in words)])


class Option(click.Option):
    """An option that an environment variable sets where the command line does not; see ``variable``."""

    def long_name(self) -> str:
        """Return the name with two dashes; of a pair such as ``--check/--no-check`` the first."""
        return max(self.opts, key=len)

    def variable(self, context: click.Context) -> str:
        """Return the name of its variable."""
        return variable(context.command_path, self.long_name())

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the text of its own variable, or of the one that it shares with other commands; None if empty."""
        own = os.environ.get(self.variable(ctx))
        return own or super().resolve_envvar_value(ctx)

    def value_from_envvar(self, ctx: click.Context) -> str | Sequence[str] | None:
        """Return the value of its variable; an option that may be repeated takes several words, as a shell does."""
        text = self.resolve_envvar_value(ctx)
        if text is None or not self.multiple:
            return text
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            hint = f"'{self._source(ctx)}'"
            raise click.BadParameter(f"not valid shell words: {error}", ctx, self, param_hint=hint) from error

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what a message about a wrong value names: the option, or the variable where it came from."""
        given = ctx is not None and self.name is not None and ctx.get_parameter_source(self.name)
        if ctx is not None and given is ParameterSource.ENVIRONMENT:
            return f"'{self._source(ctx)}'"
        return super().get_error_hint(ctx)

    def _source(self, context: click.Context) -> str:
        """Return the variable that its value came from."""
        own = self.variable(context)
        return str(own if os.environ.get(own) or self.envvar is None else self.envvar)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return names and text; defaults and limits are put in one bracket, and limits in words."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        text = record[1].replace("]  [", "; ")
        return record[0], _REMARKS.sub(lambda remarks: _WHOLE.sub(r"\1", in_words(remarks[0])), text)


def in_words(text: str) -> str:
    """Return a text of click's as the toolkit says it: ``at least 1`` for ``x>=1.0``."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text


#: adds an option to a command, as ``click.option`` does
option = functools.partial(click.option, cls=Option)
