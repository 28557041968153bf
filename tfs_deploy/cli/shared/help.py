# SPDX-License-Identifier: Apache-2.0
"""The help of every command in one form: what it does, when to use it, its own exit codes, examples, options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from tfs_deploy.cli.shared.output import Output
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: options that every command has, in a section of their own
COMMON: Final = ("--json", "--quiet", "--no-color", "--no-pager", "--help")


class HelpFormatter(click.HelpFormatter):
    """Leaves texts at least five eighths of a narrow terminal."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and texts in two columns."""
        super().write_dl(tuple(rows), min(col_max, self.width * 3 // 8), col_spacing)


class Context(click.Context):
    """The context of a command, with its formatter."""

    formatter_class = HelpFormatter


class Helped(click.Command):
    """A command whose help goes to the pager if it is long, with its own options before those of every command."""

    context_class = Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words after its name; every error knows the command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help."""
        found = super().get_help_option(ctx)
        if found is not None:
            found.callback = _show_help
            found.help = "Show this help and exit."
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the common ones."""
        params = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        own = [each for each in params if not set(each.opts) & set(COMMON)]
        _write_options(ctx, formatter, "Options", own)
        _write_options(ctx, formatter, "Options of every command", [each for each in params if each not in own])
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


def _write_options(
    context: click.Context, formatter: click.HelpFormatter, title: str, params: Iterable[click.Option]
) -> None:
    records = [record for each in params if (record := each.get_help_record(context)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def _show_help(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls
    if value and not context.resilient_parsing:
        (context.find_object(Output) or Output()).page(context.get_help())
        context.exit()


class Command(Helped):
    """A command whose help shows examples after its text, and a reference after its options, both as written."""

    def __init__(
        self, *args: Any, examples: tuple[str, ...] = (), reference: str | Callable[[], str] = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.examples = examples
        self.reference = reference

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring, then the examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the reference."""
        super().format_epilog(ctx, formatter)
        if self.reference:
            text = self.reference if isinstance(self.reference, str) else self.reference()
            formatter.write(f"\n{text.strip()}\n")


class Group(Command, click.Group):
    """A group of commands, each listed with the whole first line of its help, in the order of their definition."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(command)) for name, command in self.commands.items()])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of their definition."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a line; the error for an unknown one names the closest command."""
        require_known(ctx, args, self.commands)
        return super().resolve_command(ctx, args)


def require_known(context: click.Context, words: Sequence[str], commands: Iterable[str]) -> None:
    """Raise ``click.UsageError`` if the line goes on with an unknown command; it names the closest one."""
    names = tuple(commands)
    if not context.resilient_parsing and words and not words[0].startswith("-") and words[0] not in names:
        near = closest(words[0], names)
        context.fail(f"No such command '{words[0]}'." + ("" if near is None else f" Did you mean '{near}'?"))


def summary(command: click.Command) -> str:
    """Return the first line of a command's help, which says what the command does."""
    return (command.help or "").strip().partition("\n")[0]
