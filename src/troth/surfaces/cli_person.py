"""How `troth person` is spelt."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def person() -> None:
    """One person: what stands about them, and what is learnt of them.

    PERSON, OTHER and KEEP are outside ids or e-mail addresses; `-` reads one from standard input.
    No name or address is ever shown or said back.
    """


_whom = click.argument("person", metavar="PERSON")
_other = click.argument("other", metavar="OTHER")
_keep = click.argument("keep", metavar="KEEP")
_why = click.option("--reason", default="", help="Why, or the case; the person sees it.")
_came = click.option("--source", default="cli", show_default=True, help="How it came, a word.")


@person.command("show")
@_whom
@_why
@everywhere
def person_show(call: "Call", person: str, reason: str) -> Answer:
    """Show stage, facts, dealings, links and merged records; no value is opened."""
    from troth.surfaces.commands import person as one

    return one.show(call, person, reason)


@person.command("relate")
@_whom
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["sale", "inquiry", "contract", "donation", "membership"]),
)
@click.option("--on", required=True, metavar="DATE", help="When, in the house's zone.")
@click.option("--goods", default="", help="Product group.")
@click.option("--brand", default="", help="Whose customer [the workspace's].")
@click.option("--until", default="", metavar="DATE", help="When a contract ends.")
@click.option("--details-given", is_flag=True, help="Their address was obtained in this very act.")
@click.option("--objection-offered", is_flag=True, help="And they could easily say no there.")
@_came
@everywhere
def person_relate(call: "Call", person: str, **told: Any) -> Answer:  # noqa: ANN401
    """Record a sale, inquiry, contract, donation or membership; nothing is agreed by it."""
    from troth.surfaces.commands import person as one

    return one.relate(call, person, one.Told(collected=told.pop("details_given"), **told))


@person.command("address")
@_whom
@click.option("--channel", required=True, type=click.Choice(["email", "sms", "push", "post"]))
@click.option("--to", required=True, metavar="ADDRESS", help="The new one; - reads it.")
@click.option("--region", default="", metavar="CODE", help="Of a number without country code.")
@_came
@everywhere
def person_address(  # noqa: PLR0913 - one parameter per option
    call: "Call", person: str, channel: str, to: str, region: str, source: str
) -> Answer:
    """Put a new address in the place of the old one; a no of theirs goes along."""
    from troth.surfaces.commands import person as one

    return one.address(call, person, channel, to, source, region)


@person.command("link")
@_whom
@_other
@click.option(
    "--relation",
    required=True,
    type=click.Choice(["competent_person", "contact_of", "agent"]),
    help="As what OTHER acts for PERSON.",
)
@click.option(
    "--born",
    type=click.IntRange(1900, 2200),
    help="The year PERSON was born: it ends when they are 18.",
)
@_came
@everywhere
def person_link(  # noqa: PLR0913 - one parameter per option
    call: "Call",
    person: str,
    other: str,
    relation: Any,  # noqa: ANN401
    born: int | None,
    source: str,
) -> Answer:
    """Record that OTHER may act for PERSON; it opens nothing by itself."""
    from troth.surfaces.commands import person as one

    return one.link(call, person, other, relation, born, source)


@person.command("unlink")
@_whom
@_other
@_came
@everywhere
def person_unlink(call: "Call", person: str, other: str, source: str) -> Answer:
    """End it: nothing OTHER says counts for PERSON any more."""
    from troth.surfaces.commands import person as one

    return one.unlink(call, person, other, source)


@person.command("merge")
@_keep
@_other
@_why
@everywhere
def person_merge(call: "Call", keep: str, other: str, reason: str) -> Answer:
    """Make OTHER a part of KEEP: one human being, the stricter answer of both (officer)."""
    from troth.surfaces.commands import person as one

    return one.merge(call, keep, other, reason)


@person.command("unmerge")
@_keep
@click.option("--which", required=True, type=click.IntRange(1), help="Its number in `show`.")
@_why
@everywhere
def person_unmerge(call: "Call", keep: str, which: int, reason: str) -> Answer:
    """Take a merged record out of KEEP again (officer)."""
    from troth.surfaces.commands import person as one

    return one.unmerge(call, keep, which, reason)


@person.command("package")
@_whom
@click.option("--out", required=True, metavar="FILE", help="The ZIP file to write.")
@_why
@everywhere
def person_package(call: "Call", person: str, out: str, reason: str) -> Answer:
    """Write what is held about a person for their request, as far as the role may take it out."""
    from troth.surfaces.commands import package

    return package.write(call, person, Path(out), reason)


@person.command("restrict")
@_whom
@_why
@everywhere
def person_restrict(call: "Call", person: str, reason: str) -> Answer:
    """Keep everything and use it for nothing, from the next decision on."""
    from troth.surfaces.commands import person as one

    return one.restrict(call, person, reason)


@person.command("resume")
@_whom
@_why
@everywhere
def person_resume(call: "Call", person: str, reason: str) -> Answer:
    """End a restriction; what was agreed before counts again."""
    from troth.surfaces.commands import person as one

    return one.resume(call, person, reason)
