# SPDX-License-Identifier: Apache-2.0
"""The help of every command in one form: what it does, when to use it, its own exit codes, examples, options."""

from __future__ import annotations

from typing import Any

import click


class Command(click.Command):
    """A command whose help shows examples after its text, and a reference after its options, both as written."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), reference: str = "", **settings: Any) -> None:
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
            formatter.write(f"\n{self.reference.strip()}\n")


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


def summary(command: click.Command) -> str:
    """Return the first line of a command's help, which says what the command does."""
    return (command.help or "").strip().partition("\n")[0]
