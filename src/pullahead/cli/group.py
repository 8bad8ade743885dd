"""The group of commands. Each command's module is imported when it is called, not before."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final, NamedTuple

import click

from pullahead._version import __version__


class Entry(NamedTuple):
    """Where a command lives, and what the list of commands says about it."""

    where: str  # module:attribute
    help: str  # kept here, because asking the command would import it


COMMANDS: Final = {
    "run": Entry("pullahead.cli.run:run", "Run work over items, results as lines of JSON."),
    "queue": Entry("pullahead.cli.queue:queue", "Make, fill and look after a live queue."),
    "journal": Entry("pullahead.cli.journal:journal", "Say what the journal of a run holds."),
    "demo": Entry("pullahead.cli.demo:demo", "See workers wait, overlap and pull ahead, on real input."),
    "simulate": Entry("pullahead.cli.simulate:simulate", "Compare policies under virtual time."),
    "bench": Entry("pullahead.cli.bench:bench", "Measure this machine against what others offer."),
}


class LazyGroup(click.Group):
    """Lists the commands whose module is there, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the order of the table."""
        return [name for name, entry in COMMANDS.items() if _exists(entry)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self.list_commands(ctx):
            return None
        module, attribute = COMMANDS[name].where.split(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])


def _exists(entry: Entry) -> bool:
    return importlib.util.find_spec(entry.where.split(":")[0]) is not None


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Workers that pull their next work while they compute the current one."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
