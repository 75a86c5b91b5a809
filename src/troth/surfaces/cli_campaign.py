"""How `troth audience` and `troth campaign` are spelt."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import Command, asked, everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
def audience() -> None:
    """Audiences: audiences/NAME.toml."""


@audience.command("preview")
@click.argument("name")
@everywhere
def audience_preview(call: "Call", name: str) -> Answer:
    """Say how many would be reached, and how many not, and why; nobody is named."""
    from troth.surfaces.commands import audience as audiences

    return audiences.preview(call, name)


@audience.command("list")
@everywhere
def audience_list(call: "Call") -> Answer:
    """List the published audiences."""
    from troth.surfaces.commands import audience as audiences

    return audiences.listed(call)


@audience.command("show")
@click.argument("name")
@everywhere
def audience_show(call: "Call", name: str) -> Answer:
    """Show an audience in words, what it reads, its text and its versions."""
    from troth.surfaces.commands import audience as audiences

    return audiences.show(call, name)


@audience.command("count")
@click.argument("name")
@everywhere
def audience_count(call: "Call", name: str) -> Answer:
    """Say how many are in it, may be reached, and what keeps the others out."""
    from troth.surfaces.commands import audience as audiences

    return audiences.count(call, name)


@audience.command("fairness")
@click.argument("name")
@everywhere
def audience_fairness(call: "Call", name: str) -> Answer:
    """Say what an audience may stand for and whom it can never hold."""
    from troth.surfaces.commands import audience as audiences

    return audiences.fairness(call, name)


@audience.command("rebuild")
@everywhere
def audience_rebuild(call: "Call") -> Answer:
    """Build the audience engine's copy anew from the record; needs the extra [reach]."""
    from troth.surfaces.commands import campaign as campaigns

    return campaigns.rebuild(call)


@click.group()
def campaign() -> None:
    """A campaign sends the template NAME to the audience NAME, at most once to each person."""


def _planned(function: Command) -> Command:
    for option in (
        click.argument("name"),
        click.option("--template", default="", help="Another template than NAME."),
        click.option("--audience", default="", help="Another audience than NAME."),
    ):
        function = option(function)
    return function


@campaign.command("check")
@everywhere
@_planned
def campaign_check(call: "Call", name: str, template: str, audience: str) -> Answer:
    """Say whether the campaign could go out: template, purpose, permission, registry, sender."""
    from troth.surfaces.commands import campaign as campaigns

    return campaigns.check(call, campaigns.Plan(name, template, audience))


@campaign.command("test")
@everywhere
@_planned
@click.option("--level", type=click.IntRange(1, 5), default=1, show_default=True)
@click.option("--out", default="", metavar="FILE", help="Where [NAME-levelK.eml].")
@click.option("--to", default="", metavar="ADDRESS", help="Send it to yourself instead.")
def campaign_test(  # noqa: PLR0913 - one parameter per option
    call: "Call", name: str, template: str, audience: str, level: int, out: str, to: str
) -> Answer:
    """Write the message as a level shows it, with sample words; nobody's data is opened."""
    from troth.surfaces.commands import campaign as campaigns

    return campaigns.test(call, campaigns.Plan(name, template, audience), level, out, to)


@campaign.command("send")
@everywhere
@_planned
@click.option("--relay", default="", metavar="HOST:PORT", help="Instead of the workspace's relay.")
@click.option("--yes", is_flag=True, help="Do not ask before sending.")
def campaign_send(  # noqa: PLR0913 - one parameter per option
    call: "Call", name: str, template: str, audience: str, relay: str, *, yes: bool
) -> Answer:
    """Decide for each candidate, book, hand over; a repeated run never sends twice."""
    from troth.surfaces.commands import campaign as campaigns

    plan = campaigns.Plan(name, template, audience)
    return campaigns.send(call, plan, relay, lambda text: yes or asked(text))


@campaign.command("status")
@click.argument("name")
@everywhere
def campaign_status(call: "Call", name: str) -> Answer:
    """Say how far a campaign has come."""
    from troth.surfaces.commands import planning

    return planning.status(call, name)


@campaign.command("plan")
@everywhere
@_planned
@click.option("--start", default="", metavar="TIME", help="Send from this moment on.")
@click.option("--local-time", default="", metavar="TIME", help="Send at each reader's own time.")
@click.option("--window", type=click.IntRange(0, 720), default=0, metavar="HOURS", help="[48]")
@click.option("--holdout", type=click.IntRange(0, 50), default=0, metavar="PERCENT")
@click.option("--note", default="", help="What you say about how often people hear from you.")
def campaign_plan(call: "Call", name: str, window: int, holdout: int, **told: str) -> Answer:
    """Write a campaign's plan, or change it; a change makes an approval void."""
    from troth import app
    from troth.surfaces.commands import planning

    when = planning.read_when(told["start"], told["local_time"], window)
    parts = (told["audience"] or name, told["template"] or name, when)
    return planning.plan(call, app.Asked(name, *parts, holdout, told["note"]))


@campaign.command("submit")
@click.argument("name")
@everywhere
def campaign_submit(call: "Call", name: str) -> Answer:
    """Count whom it would reach and ask a second person to approve exactly that."""
    from troth.surfaces.commands import planning

    return planning.submit(call, name)


@campaign.command("approve")
@click.argument("name")
@everywhere
def campaign_approve(call: "Call", name: str) -> Answer:
    """Approve what was submitted (--as somebody who did not write it)."""
    from troth.surfaces.commands import planning

    return planning.approve(call, name)


@campaign.command("return")
@click.argument("name")
@click.option("--reason", required=True, help="What its writers should change.")
@everywhere
def campaign_return(call: "Call", name: str, reason: str) -> Answer:
    """Give a campaign back to its writers; an approval ends."""
    from troth.surfaces.commands import planning

    return planning.give_back(call, name, reason)


@campaign.command("schedule")
@click.argument("name")
@everywhere
def campaign_schedule(call: "Call", name: str) -> Answer:
    """Put an approved campaign on the calendar; the worker starts it."""
    from troth.surfaces.commands import planning

    return planning.schedule(call, name)


@campaign.command("pause")
@click.argument("name")
@everywhere
def campaign_pause(call: "Call", name: str) -> Answer:
    """Hold a campaign at once."""
    from troth.surfaces.commands import planning

    return planning.pause(call, name)


@campaign.command("resume")
@click.argument("name")
@everywhere
def campaign_resume(call: "Call", name: str) -> Answer:
    """Let a paused campaign go on; nobody is mailed twice."""
    from troth.surfaces.commands import planning

    return planning.resume(call, name)


@campaign.command("stop")
@click.argument("name")
@everywhere
def campaign_stop(call: "Call", name: str) -> Answer:
    """Stop a campaign for good; what has not left never leaves."""
    from troth.surfaces.commands import planning

    return planning.stop(call, name)


@campaign.command("list")
@everywhere
def campaign_list(call: "Call") -> Answer:
    """List the campaigns and where each stands."""
    from troth.surfaces.commands import planning

    return planning.listing(call)


@campaign.command("results")
@click.argument("name")
@everywhere
def campaign_results(call: "Call", name: str) -> Answer:
    """Say what a campaign did: who bought, beside those held out; what came back."""
    from troth.surfaces.commands import results

    return results.results(call, name)
