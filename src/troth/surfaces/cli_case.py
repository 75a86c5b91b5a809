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


# Beside `troth access`: what was taken out, who may take out more, and canaries


@click.command("exports")
@click.option("--confirm", default="", metavar="ID", help="Say that this export was deleted.")
@everywhere
def exports(call: "Call", confirm: str) -> Answer:
    """List what staff took out, until when it is to be deleted, and who must say it was."""
    from troth.surfaces.commands import exports as taken

    return taken.confirm(call, confirm) if confirm else taken.shown(call)


@click.command("bulk")
@click.option("--people", type=int, default=0, metavar="N", help="Ask for so many people more.")
@click.option("--reason", default="", metavar="TEXT", help="What for, naming nobody.")
@click.option("--purpose", default="", help="For looks under it alone [customer service].")
@click.option("--approve", default="", metavar="ID", help="Agree to somebody else's.")
@click.option("--refuse", default="", metavar="ID", help="Refuse it.")
@everywhere
def bulk(call: "Call", people: int, reason: str, purpose: str, **answer: str) -> Answer:
    """Ask to take out more people than a day allows; another person agrees or refuses."""
    from troth.surfaces.commands import exports as taken

    for option, word in (("approve", "approved"), ("refuse", "refused")):
        if answer[option]:
            return taken.answer_bulk(call, answer[option], word)
    return taken.ask_bulk(call, people, reason, purpose) if people else taken.bulks(call)


@click.group("canaries")
def canaries() -> None:
    """Invented people whom nobody has a reason to look at."""


@canaries.command("plant")
@click.argument("count", type=int, metavar="N")
@everywhere
def canaries_plant(call: "Call", count: int) -> Answer:
    """Plant so many; whoever looks at one raises an alarm."""
    from troth.surfaces.commands import exports as taken

    return taken.plant(call, count)


ACCESS = (exports, bulk, canaries)
