"""What every command has: its options, its progress bar, its answer, and how it is stopped."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from troth.surfaces.commands.answer import Answer

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call

Command = Callable[..., Any]


@dataclass(slots=True)
class Running:
    """What `main` must know of a command that failed."""

    command: str = ""
    folder: Path | None = None


def everywhere(function: Command) -> Command:
    """Add the options every command has, and print its answer."""

    @click.option("-w", "--workspace", default=".", metavar="DIR", help="Workspace folder [.].")
    @click.option("--as", "who", default="", metavar="ROLE:ID", help="On whose behalf.")
    @click.option("--at", default="", metavar="TIME", help="Let the clock stand at this moment.")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @click.pass_context
    @functools.wraps(function)
    def run(
        ctx: click.Context,
        /,
        workspace: str,
        who: str,
        at: str,
        *,
        as_json: bool,
        **given: object,
    ) -> int:
        from troth.surfaces.commands.call import Call

        running: Running = ctx.find_object(Running) or Running()
        running.command, running.folder = ctx.command_path, Path(workspace)
        with _Bar(quiet=as_json or not sys.stderr.isatty()) as bar:
            call = Call(running.folder, at, who, _silent if as_json else _tell, bar.watch)
            answer = _uninterrupted(function, call, given)
        if as_json:
            click.echo(json.dumps(answer.data, sort_keys=True, ensure_ascii=False))
        else:
            click.echo("\n".join(answer.lines))
        return int(answer.exit)

    return run


class Stopped(Exception):  # noqa: N818 - what a person did, no error
    """Somebody pressed the key that interrupts."""


def _uninterrupted(function: Command, call: "Call", given: dict[str, object]) -> Answer:
    """Run a command; click would answer an interruption with an empty line of its own."""
    try:
        done: Answer = function(call, **given)
    except KeyboardInterrupt:
        raise Stopped from None
    return done


def _silent(_line: str) -> None:
    """Say nothing: the output is for programs."""


def _tell(line: str) -> None:
    click.echo(line, err=True)


class _Bar:
    """A progress bar on standard error, drawn only for a person who looks."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def watch(self, name: str) -> Callable[[int], None]:
        """Return what is told the number of rows done so far."""
        if self._quiet:
            return lambda _done: None
        if self._progress is None:
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        task = self._progress.add_task(name, total=None)
        return lambda done: self._progress.update(task, completed=done)


def asked(question: str) -> bool:
    """Ask a person at a terminal; where there is none the answer is no."""
    return sys.stdin.isatty() and click.confirm(question, err=True)
