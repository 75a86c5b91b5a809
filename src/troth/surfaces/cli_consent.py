"""How `troth consent` is spelt."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import Command, everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def consent() -> None:
    """What a person agreed to, refused or withdrew.

    PERSON is an outside id or an e-mail address; `-` reads it from standard input.
    """


_BY = ["self", "competent_person", "authorised_agent", "staff"]


def _act(function: Command) -> Command:
    for option in (
        click.argument("person", metavar="PERSON"),
        click.option("--purpose", default="marketing", show_default=True),
        click.option("--channel", "channels", multiple=True, help="Repeat for several."),
        click.option("--method", default="", help="How: checkbox, button, paper, call_recording."),
        click.option("--proof", default="", help="Reference to what proves it."),
        click.option("--notice", default="", metavar="NAME@VERSION", help="The notice shown."),
        click.option("--category", "categories", multiple=True, help="For personalise."),
        click.option("--level", type=click.IntRange(0, 5), help="For personalise."),
        click.option("--by", default="self", show_default=True, type=click.Choice(_BY)),
        click.option("--occurred", default="", metavar="TIME", help="When, if not now."),
        click.option("--receipt", default="", metavar="FILE", help="Write the receipt here."),
    ):
        function = option(function)
    return function


@consent.command("give")
@everywhere
@_act
def consent_give(call: "Call", person: str, **told: object) -> Answer:
    """Record that a person agreed; needs notice, method and proof, and names each channel."""
    from troth.surfaces.commands import consent as acts

    return acts.record(call, "given", person, acts.read_told(told))


@consent.command("refuse")
@everywhere
@_act
def consent_refuse(call: "Call", person: str, **told: object) -> Answer:
    """Record that a person was asked and said no."""
    from troth.surfaces.commands import consent as acts

    return acts.record(call, "refused", person, acts.read_told(told))


@consent.command("withdraw")
@everywhere
@_act
def consent_withdraw(call: "Call", person: str, **told: object) -> Answer:
    """Stop a purpose (all marketing, if none is named) on a channel, or on all of them."""
    from troth.surfaces.commands import consent as acts

    return acts.record(call, "withdrawn", person, acts.read_told(told))


@consent.group("record")
def consent_record() -> None:
    """Consent records (ISO/IEC TS 27560): files people were given."""


@consent_record.command("verify")
@click.argument("file", metavar="FILE")
@everywhere
def consent_record_verify(call: "Call", file: str) -> Answer:
    """Check that a file is one of ours and still stands."""
    from troth.surfaces.commands import record

    return record.verify(call, file)


@consent_record.command("show")
@click.argument("file", metavar="FILE")
@everywhere
def consent_record_show(call: "Call", file: str) -> Answer:
    """Say what a consent record tells, in whatever spelling; needs no workspace."""
    from troth.surfaces.commands import record

    return record.show(call, file)


@consent.command("show")
@click.argument("person", metavar="PERSON")
@click.option("--reason", default="", help="The case or request this is for; the person sees it.")
@everywhere
def consent_show(call: "Call", person: str, reason: str) -> Answer:
    """Show what stands and how it came about; the look itself is recorded first."""
    from troth.surfaces.commands import consent as acts

    return acts.show(call, person, reason)


@consent.command("as-of")
@click.argument("person", metavar="PERSON")
@click.option("--valid", required=True, metavar="TIME", help="What held at this moment …")
@click.option(
    "--known", default="", metavar="TIME", help="… as far as it was known by then [now]."
)
@click.option("--reason", default="", help="The case or request this is for; the person sees it.")
@everywhere
def consent_as_of(call: "Call", person: str, valid: str, known: str, reason: str) -> Answer:
    """Show what held at one moment as it was known at another."""
    from troth.surfaces.commands import consent as acts

    return acts.as_of(call, person, (valid, known), reason)
