# SPDX-License-Identifier: Apache-2.0
"""The command group: one line of help per command is registered here, its module is imported when it is called."""

from __future__ import annotations

import importlib
import os
import re
from typing import TYPE_CHECKING, Any, Final

import click

from tfs_deploy import __version__
from tfs_deploy.cli.line.option import in_words
from tfs_deploy.cli.shared.help import Helped, require_known
from tfs_deploy.cli.shared.options import COMMON, all_of
from tfs_deploy.cli.shared.output import Output
from tfs_deploy.errors import EnvironmentFault, MissingExtraError, TfsDeployError, UsageError, file_hint
from tfs_deploy.text import closest, one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: job -> its commands with the one line that `tfs-deploy --help` shows of each, in that order; a command NAME is the
#: module tfs_deploy.cli.commands.NAME
GROUPS: dict[str, dict[str, str]] = {
    "Build": {
        "demo": "See it all work on a real model, in about a minute.",
        "init": "Write a deployment file for what is there.",
        "export": "Write a model into the next numbered version directory.",
        "publish": "Copy a verified version into a base path or a store.",
        "pull": "Bring versions out of a store into a base path.",
        "config": "Write the files that the server reads.",
        "render": "Write a Compose project or a Dockerfile.",
    },
    "Check": {
        "inspect": "Show what a SavedModel holds, without TensorFlow.",
        "lint": "Find what would go wrong in serving.",
        "diff": "Compare two versions as clients see them.",
        "run": "Run one signature of a SavedModel, without a server.",
        "verify": "Verify a version before it serves traffic.",
        "doctor": "Find what keeps this machine from serving.",
    },
    "Deploy": {
        "plan": "Show what `up` would change.",
        "up": "Start the server, or bring a running one in line with its file.",
        "restart": "Replace the running server with a new one.",
        "down": "Stop the server.",
        "serve": "Run the embedded server in the foreground.",
    },
    "Call": {
        "predict": "Send one request to a served model.",
        "smoke": "Compare the answers of every label with the recorded ones.",
    },
    "Roll out": {
        "rollout": "Move traffic from one version to the next, step by step.",
        "rollback": "Move the label stable back to an earlier version.",
        "lock": "Show who is at work on a deployment, or release its lock.",
    },
    "Look": {
        "status": "Show the server with its models, versions and labels.",
        "logs": "Show the server's log.",
        "stats": "Show the CPU, memory and network use of the server.",
    },
    "Set up": {
        "completion": "Let a shell complete what you type.",
    },
}
COMMANDS: dict[str, str] = {name: text for commands in GROUPS.values() for name, text in commands.items()}


#: the variable in which a shell asks what TAB completes (``cli/line/shells``)
COMPLETION: Final = "_TFS_DEPLOY_COMPLETE"
#: makes the lines of all jobs start in the same column
_NAME_WIDTH = max(map(len, COMMANDS))


class LazyGroup(Helped, click.Group):
    """A click group that lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of --help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tfs_deploy.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a line; the error for an unknown one names the closest command."""
        require_known(ctx, args, COMMANDS)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options without importing a command."""
        from click.shell_completion import CompletionItem  # only a shell asks

        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by job, from the registered lines."""
        del ctx
        for job, commands in GROUPS.items():
            with formatter.section(job):
                formatter.write_dl([(name.ljust(_NAME_WIDTH), text) for name, text in commands.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="A variable sets an option that the line does not have: TFS_DEPLOY_UP_TIMEOUT=60 is `up --timeout 60`.\n\n"
    "Exit codes: 0 done, 1 negative verdict, 2 usage or deployment file, 3 environment, 4 locked, 130 Ctrl-C.",
)
@click.version_option(__version__, prog_name="tfs-deploy", help="Show the version and exit.")
@all_of(COMMON)
def group() -> None:
    """Deploy TensorFlow models on TensorFlow Serving: export, configure, launch, call, verify, roll out."""


def run(arguments: list[str]) -> int:
    """Dispatch one command line and return the exit code (see ``errors`` for the table)."""
    before = os.environ.get("NO_COLOR")
    try:
        return _run(arguments, Output.from_arguments(arguments))
    finally:  # a program that calls this keeps its own environment
        _set("NO_COLOR", before)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _run(arguments: list[str], output: Output) -> int:
    context: dict[str, Any] = {"obj": output}
    if COMPLETION in os.environ:
        from tfs_deploy.cli.line import shells

        shells.register()
    try:
        code = group.main(arguments, prog_name="tfs-deploy", complete_var=COMPLETION, standalone_mode=False, **context)
    except click.ClickException as error:
        if isinstance(error, _NO_ARGUMENTS):
            error.show()
            return error.exit_code
        usage = _usage_error(error)
        output.error(usage)
        return usage.exit_code
    except (click.Abort, KeyboardInterrupt):
        output.interrupted()
        return 130
    except TfsDeployError as error:
        output.error(error)
        return error.exit_code
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        missing = MissingExtraError(error.name or "a package", extra)
        output.error(missing)
        return missing.exit_code
    except BrokenPipeError:
        output.broken_pipe()
        return 0
    except OSError as error:
        what = f"{error.filename} cannot be used" if error.filename else "a system call failed"
        fault = EnvironmentFault(f"{what}: {error.strerror or error}", hint=file_hint(error))
        output.error(fault)
        return fault.exit_code
    return code if isinstance(code, int) else 0


#: raised by click 8.2 and newer to show the help of a group that is called without a command
_NO_ARGUMENTS: tuple[type[click.ClickException], ...] = tuple(
    kind for kind in (getattr(click.exceptions, "NoArgsIsHelpError", None),) if kind
)


def _usage_error(error: click.ClickException) -> UsageError:
    """Return an error of click in the form of all our errors."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "tfs-deploy"
    message = in_words(one_line(error.format_message())).removesuffix(".")
    return UsageError(f"{message}{_nearest_choice(error)}", hint=f"{path} --help")


def _nearest_choice(error: click.ClickException) -> str:
    """Return the question after an unknown value, if one of the values that its parameter takes is close to it."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
    given = re.match(r"'(.*?)' is not one of ", error.message)
    if not isinstance(kind, click.Choice) or given is None:
        return ""
    near = closest(given[1], map(str, kind.choices))
    return "" if near is None else f". Did you mean '{near}'?"


#: packages that commands import at module level or deep inside -> the extra that brings them
_EXTRA_OF = {
    "docker": "docker",
    "httptools": "server",
    "httpx": "rest",
    "keras": "export",
    "orjson": "rest",
    "pydantic": "cli",
    "rich": "cli",
    "tensorflow": "export",
    "uvicorn": "server",
    "yaml": "cli",
}
