"""How `troth case` is spelt."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call

SOURCES = ("phone", "mail", "shop", "ticket", "reply", "complaint")
_ticket = click.option("--ticket", required=True, metavar="NUMBER", help="The case's number.")


@click.group()
def case() -> None:
    """Cases: the reasons for which staff may look at a person."""


@case.command("open")
@click.option("--source", type=click.Choice(SOURCES), required=True, help="Where it came from.")
@_ticket
@click.argument("person", metavar="PERSON")
@everywhere
def case_open(call: "Call", person: str, ticket: str, source: str) -> Answer:
    """Open a case about a person; it closes by itself."""
    from troth.surfaces.commands import case as cases

    return cases.open_one(call, person, ticket, source)


@case.command("close")
@_ticket
@click.argument("person", metavar="PERSON")
@everywhere
def case_close(call: "Call", person: str, ticket: str) -> Answer:
    """Close a case: from now on it is no reason to look any more."""
    from troth.surfaces.commands import case as cases

    return cases.close_one(call, person, ticket)


@case.command("list")
@everywhere
def case_list(call: "Call") -> Answer:
    """List the open cases, and how often each account opened its own; nobody is named."""
    from troth.surfaces.commands import case as cases

    return cases.shown(call)


@case.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@everywhere
def case_import(call: "Call", file: Path) -> Answer:
    """Open cases from a ticket system's file: columns ticket and person."""
    from troth.surfaces.commands import case as cases

    return cases.take_in(call, file)
