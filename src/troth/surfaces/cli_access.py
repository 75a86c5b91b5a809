"""How `troth access` is spelt."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def access() -> None:
    """Who of the staff may use which data, for what, and why."""


@access.command("explain")
@click.option("--as-role", "role", required=True, metavar="ROLE[:ID]", help="Who would use it.")
@click.option("--person", default="", metavar="PERSON", help="About one person; recorded first.")
@click.option("--reason", default="", metavar="REF", help="The case or request, as kind:id.")
@click.option("--channel", default="", metavar="CHANNEL", help="Over which channel.")
@click.argument("purpose", metavar="PURPOSE")
@click.argument("action", metavar="ACTION")
@click.argument("categories", metavar="CATEGORY...", nargs=-1)
@everywhere
def access_explain(call: "Call", categories: tuple[str, ...], **options: str) -> Answer:
    """Say whether a use is allowed, by which rule, and the smallest change that would allow it."""
    from troth.surfaces.commands import access_explain as explaining

    return explaining.explain(call, explaining.Question(categories=categories, **options))


@access.command("exposure")
@everywhere
def access_exposure(call: "Call") -> Answer:
    """Count who of the staff could see what, asked of the decision as each of them."""
    from troth.surfaces.commands import access as rights

    return rights.exposure(call)


@access.command("tighten")
@click.option("--apply", "todo", flag_value="apply", help="Take what is proposed.")
@click.option("--undo", "todo", flag_value="undo", help="Give back what was last taken.")
@click.argument("proposals", metavar="[ID]...", nargs=-1)
@everywhere
def access_tighten(call: "Call", todo: str | None, proposals: tuple[str, ...]) -> Answer:
    """Show rights nobody used, and which reads of the real log would have been denied."""
    from troth.surfaces.commands import access as rights

    return rights.tighten(call, todo or "", proposals)


@access.command("ask")
@click.option("--purpose", required=True, metavar="PURPOSE", help="What for.")
@click.option("--data", required=True, metavar="CATEGORY[:MASK],...", help="Which data.")
@click.option("--reason", required=True, metavar="REF", help="The open case, as kind:id.")
@click.option("--why", required=True, metavar="TEXT", help="In a few words, naming nobody.")
@click.option("--action", default="read", metavar="ACTION", help="read or export [read].")
@click.option("--hours", default="", metavar="N", help="How long [8].")
@click.option("--for", "holder", default="", metavar="ROLE:ID", help="For a colleague.")
@everywhere
def access_ask(call: "Call", holder: str, **told: str) -> Answer:
    """Ask for a right for a while; somebody else must agree."""
    from troth.surfaces.commands import access as rights

    return rights.ask(call, told, holder)


@access.command("glass")
@click.option("--purpose", required=True, metavar="PURPOSE", help="What for.")
@click.option("--data", required=True, metavar="CATEGORY[:MASK],...", help="Which data.")
@click.option("--why", required=True, metavar="TEXT", help="In a few words, naming nobody.")
@click.option("--reason", default="", metavar="REF", help="The open case, as kind:id.")
@click.option("--action", default="read", metavar="ACTION", help="read or export [read].")
@click.option("--minutes", default="", metavar="N", help="How long [60].")
@everywhere
def access_glass(call: "Call", **told: str) -> Answer:
    """Take a right at once in an emergency; the officer is told, and looks at it within a day."""
    from troth.surfaces.commands import access as rights

    return rights.glass(call, told)


@access.command("approve")
@click.argument("ident", metavar="ID")
@everywhere
def access_approve(call: "Call", ident: str) -> Answer:
    """Agree to a request; never one's own, nor one of whom one reports to."""
    from troth.surfaces.commands import access as rights

    return rights.approve(call, ident)


@access.command("refuse")
@click.option("--note", default="", metavar="TEXT", help="Why, naming nobody.")
@click.argument("ident", metavar="ID")
@everywhere
def access_refuse(call: "Call", ident: str, note: str) -> Answer:
    """Say no to a request."""
    from troth.surfaces.commands import access as rights

    return rights.refuse(call, ident, note)


@access.command("end")
@click.argument("ident", metavar="ID")
@everywhere
def access_end(call: "Call", ident: str) -> Answer:
    """End a right now, or withdraw a request."""
    from troth.surfaces.commands import access as rights

    return rights.end(call, ident)


@access.command("grants")
@everywhere
def access_grants(call: "Call") -> Answer:
    """List temporary rights, newest first."""
    from troth.surfaces.commands import access as rights

    return rights.listed(call)


@access.command("review")
@click.option("--begin", "todo", flag_value="begin", help="Open a review of standing rights.")
@click.argument("line", metavar="[LINE]", default="")
@click.argument("word", metavar="[ANSWER]", default="")
@everywhere
def access_review(call: "Call", todo: str | None, line: str, word: str) -> Answer:
    """List or answer a review: approve, revoke, defer, escalate; silence ends the right.

    An emergency is judged as justified or unjustified.
    """
    from troth.surfaces.commands import access as rights

    return rights.review(call, todo or "", line, word)
