"""The command line: how each command is spelt. What it does lies in `surfaces.commands`.

Every command answers with an exit status of `faults.ENDS`, takes `--json`, and says an error in
one line without personal data. A command's own parts load when it runs, so `--help` is quick.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from troth.errors import Fault, InvalidInput
from troth.surfaces import (
    cli_access,
    cli_audit,
    cli_backup,
    cli_case,
    cli_doctor,
    cli_keys,
    cli_map,
    cli_staff,
    cli_witness,
    faults,
)
from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import Command, Running, Stopped, everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT, invoke_without_command=True)
@click.version_option(None, "-V", "--version", package_name="troth", message="%(version)s")
@click.pass_context
def root(ctx: click.Context) -> int:
    """Troth: personalised marketing that each customer agreed to, with proof.

    Exit status: 0 ok, 1 refused or not verified, 2 bad input, 3 unavailable.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


# The house


@root.command()
@click.argument("directory", metavar="DIR")
@click.option(
    "--from", "source", type=click.Choice(["demo"]), help="Begin with the demo's drafts."
)
@everywhere
def init(call: "Call", directory: str, source: str | None) -> Answer:
    """Make keys, record and ledger in DIR, which holds troth.toml (or gets the demo's)."""
    from troth.surfaces.commands import house

    return house.init(call, Path(directory), source)


@root.command()
@everywhere
def check(call: "Call") -> Answer:
    """Read the drafts and say what is wrong; publishes nothing."""
    from troth.surfaces.commands import house

    return house.check(call)


@root.command()
@everywhere
def apply(call: "Call") -> Answer:
    """Publish the drafts that changed: all or none."""
    from troth.surfaces.commands import house

    return house.apply(call)


@root.group()
def waive() -> None:
    """Record an officer's dated decision."""


@waive.command("registry")
@click.option("--registry", default="ZA", show_default=True, help="Which opt-out registry.")
@click.option("--until", required=True, metavar="TIME", help="When the decision ends.")
@click.option("--reason", required=True, help="Why; it is published.")
@everywhere
def waive_registry(call: "Call", registry: str, until: str, reason: str) -> Answer:
    """Go on for a time with a registry file that is out of date (privacy officer only)."""
    from troth.surfaces.commands import house

    return house.waive_registry(call, registry, until, reason)


# Files


@root.command("import")
@click.argument(
    "kind",
    type=click.Choice(["customers", "consents", "events", "suppressions", "registry", "package"]),
)
@click.argument("file", metavar="FILE")
@click.option(
    "--zone", default="", help="Zone of times that name none, such as Africa/Johannesburg."
)
@click.option("--brand", default="", help="Whose customers they are.")
@click.option("--products", default="", metavar="FILE", help="Which items are sensitive.")
@click.option("--registry", default="ZA", show_default=True, help="Name of the opt-out registry.")
@click.option("--rejects", default="", metavar="FILE", help="Where rejected lines are listed.")
@everywhere
def import_(call: "Call", kind: str, file: str, **options: str) -> Answer:
    """Take a file in, resuming where an earlier run of it stopped.

    Never widens a consent and never lifts a suppression. Every row that was not taken is listed
    with its line, its field and what to do. A package is what one person took out elsewhere: they
    come in as somebody new, and no yes given to another house counts here.
    """
    if kind == "package":
        from troth.surfaces.commands import package

        return package.take_in(call, Path(file))
    from troth.surfaces.commands import intake

    return intake.take(call, kind, Path(file), intake.Options(**options))


@root.group("list")
def list_() -> None:
    """An existing list, before any set-up."""


@list_.command("check")
@click.argument("file", metavar="FILE")
@click.option("--country", default="", metavar="CODE", help="Of rows that name none, such as ZA.")
@click.option("--sender-country", default="", metavar="CODE", help="Where the sender sits.")
@click.option("--zone", default="", help="Zone of times that name none [UTC].")
@click.option("--map", multiple=True, metavar="HEADING=FIELD", help="What a column means; repeat.")
@click.option("--registry", default="", metavar="FILE", help="The opt-out registry, to apply it.")
@click.option("--out", default="", metavar="DIR", help="Write one file a group into DIR.")
@everywhere
def list_check(call: "Call", file: str, **options: Any) -> Answer:  # noqa: ANN401
    """Say who of a mail tool's export may be mailed, asked once, or not, and why.

    Needs no workspace, records nothing and keeps nothing.
    """
    from troth.surfaces.commands import listcheck

    return listcheck.check(call, Path(file), listcheck.Options(**options))


# People


@root.group()
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


@root.command()
@click.argument("person", metavar="PERSON")
@click.option("--purpose", required=True)
@click.option("--channel", default="email", show_default=True)
@click.option("--reason", default="", help="The case this is for; the person sees it.")
@everywhere
def explain(call: "Call", person: str, purpose: str, channel: str, reason: str) -> Answer:
    """Say why this person may or may not get a message, and what would change that."""
    from troth.surfaces.commands import explain as why

    return why.explain(call, person, why.Question(purpose, channel, reason))


@root.command()
@click.argument("person", metavar="PERSON")
@click.option("--now", is_flag=True, help="Do not ask, and end the key epoch at once too.")
@click.option("--request", default="", help="Id of the request; one is made if none is named.")
@everywhere
def erase(call: "Call", person: str, request: str, *, now: bool) -> Answer:
    """Make everything held about a person unreadable, for good, and print the certificate."""
    from troth.surfaces.commands import rights

    asked = now or _asked("Erase this person for good? This cannot be undone")
    return rights.erase(call, person, request, agreed=asked, now=now)


def _asked(question: str) -> bool:
    """Ask a person at a terminal; where there is none the answer is no."""
    return sys.stdin.isatty() and click.confirm(question, err=True)


@root.group()
def request() -> None:
    """Requests of people about their data: asked, clocked, answered."""


@request.command("open")
@click.argument("person", metavar="PERSON")
@click.option("--right", required=True, help="access, correction, deletion, objection …")
@click.option("--how", default="letter", show_default=True, help="How it came.")
@click.option("--came", default="", metavar="DAY", help="The day it came [today].")
@click.option("--text", default="", help="In their own words.")
@click.option("--key", default="", help="The same key returns the same request.")
@click.option("--proven", is_flag=True, help="It is proven that this person asks.")
@everywhere
def request_open(  # noqa: PLR0913 - a letter as it came
    call: "Call",
    person: str,
    right: str,
    how: str,
    came: str,
    text: str,
    key: str,
    *,
    proven: bool,
) -> Answer:
    """Take in a request that came by letter, phone or in a shop; its clock runs from that day."""
    from troth.surfaces.commands import request as requests

    letter = requests.Letter(right, how, came, text, key, proven)
    return requests.open_(call, person, letter)


@request.command("list")
@click.option("--clock", default="", metavar="COLOUR", help="Only green, amber or red ones.")
@everywhere
def request_list(call: "Call", clock: str) -> Answer:
    """Show every open request with its clock; names nobody."""
    from troth.surfaces.commands import request as requests

    return requests.list_(call, clock)


@request.command("run")
@everywhere
def request_run(call: "Call") -> Answer:
    """Do what is due: deletions whose days of grace are over, reminders; ring alarms."""
    from troth.surfaces.commands import request as requests

    return requests.run(call)


@root.group()
def receipt() -> None:
    """Receipts: `.tlog-proof` files anybody can check."""


@receipt.command("export")
@click.argument("person", metavar="PERSON")
@click.option("--out", default="receipts", show_default=True, metavar="DIR")
@click.option("--reason", default="", help="The request this is for; the person sees it.")
@everywhere
def receipt_export(call: "Call", person: str, out: str, reason: str) -> Answer:
    """Write every receipt of a person into a folder, with the policy they verify under."""
    from troth.surfaces.commands import rights

    return rights.export(call, person, Path(out), reason)


@receipt.command("verify")
@click.argument("file", metavar="FILE")
@click.option(
    "--policy", default="", metavar="FILE", help="Whom to believe, instead of this house."
)
@everywhere
def receipt_verify(call: "Call", file: str, policy: str) -> Answer:
    """Check a receipt; with --policy no workspace is needed."""
    from troth.surfaces.commands import rights

    return rights.verify(call, Path(file), policy)


@root.group()
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


@root.group()
def retention() -> None:
    """Keeping nothing longer than a purpose needs it."""


@retention.command("plan")
@everywhere
def retention_plan(call: "Call") -> Answer:
    """Count by rule and category what its time is over; deletes nothing."""
    from troth.surfaces.commands import retention as keeping

    return keeping.plan(call)


@retention.command("run")
@click.option("--yes", is_flag=True, help="Do it; it cannot be undone.")
@click.option("--erase", is_flag=True, help="Also erase whom nothing may be kept of.")
@everywhere
def retention_run(call: "Call", *, yes: bool, erase: bool) -> Answer:
    """Delete what its time is over (privacy officer)."""
    from troth.surfaces.commands import retention as keeping

    return keeping.run(call, agreed=yes, erase=erase)


@root.group()
def documents() -> None:
    """What the house hands over: registers, the PAIA manual, forms."""


@documents.command("list")
@everywhere
def documents_list(call: "Call") -> Answer:
    """List every document with its state and what is missing."""
    from troth.surfaces.commands import documents as papers

    return papers.listing(call)


@documents.command("write")
@click.argument("name")
@click.option("--out", required=True, metavar="FILE", help="Ends with .pdf, .csv or .json.")
@everywhere
def documents_write(call: "Call", name: str, out: str) -> Answer:
    """Write a document or blank form to a file."""
    from troth.surfaces.commands import documents as papers

    return papers.write(call, name, out)


@documents.command("publish")
@everywhere
def documents_publish(call: "Call") -> Answer:
    """Publish the PAIA manual as its next version (privacy officer)."""
    from troth.surfaces.commands import documents as papers

    return papers.publish(call)


# Campaigns


@root.group()
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


@root.group()
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
    return campaigns.send(call, plan, relay, lambda text: yes or _asked(text))


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


# What comes back


@root.group()
def returns() -> None:
    """Failures, complaints and answers to what was sent."""


@returns.command("take")
@click.argument("path", metavar="FILE|DIR")
@everywhere
def returns_take(call: "Call", path: str) -> Answer:
    """Take in a mail, a folder of *.eml or a Maildir; repeating it is harmless."""
    from troth.surfaces.commands import returns as back

    return back.take(call, path)


@returns.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), default=2526, show_default=True)
@everywhere
def returns_serve(call: "Call", port: int) -> Answer:
    """Take mails by SMTP on this machine, where your mail server delivers them."""
    from troth.surfaces.commands import returns as back

    return back.serve(call, port)


# Staff


@root.group()
def staff() -> None:
    """Accounts of the staff listed in troth.toml: who may come into the console.

    WHO is ROLE:ID, such as it:gareth@marula.example.
    """


_address = click.option(
    "--address", default="", metavar="URL", help="Where the console is reached."
)


@staff.command("list")
@everywhere
def staff_list(call: "Call") -> Answer:
    """List the staff with the state of their accounts."""
    from troth.surfaces.commands import staff as people

    return people.listed(call)


@staff.command("invite")
@click.argument("whom", metavar="WHO")
@_address
@everywhere
def staff_invite(call: "Call", whom: str, address: str) -> Answer:
    """Open an account and print the link by which its owner chooses how to sign in."""
    from troth.surfaces.commands import staff as people

    return people.invite(call, whom, address)


@staff.command("reset")
@click.argument("whom", metavar="WHO")
@_address
@everywhere
def staff_reset(call: "Call", whom: str, address: str) -> Answer:
    """Delete every way an account signs in, and print a new link."""
    from troth.surfaces.commands import staff as people

    return people.reset(call, whom, address)


@staff.command("suspend")
@click.argument("whom", metavar="WHO")
@everywhere
def staff_suspend(call: "Call", whom: str) -> Answer:
    """Stop an account at once, with every session of it."""
    from troth.surfaces.commands import staff as people

    return people.suspend(call, whom)


@staff.command("restore")
@click.argument("whom", metavar="WHO")
@everywhere
def staff_restore(call: "Call", whom: str) -> Answer:
    """Open a suspended account again."""
    from troth.surfaces.commands import staff as people

    return people.restore(call, whom)


@root.group()
def key() -> None:
    """API keys: programs that ask the gate."""


@key.command("make")
@click.argument("name")
@click.option("--role", required=True, help="As whom it asks.")
@click.option("--days", type=click.IntRange(1, 366), default=None, help="How long it lasts [90].")
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice(["send", "personalise", "profile", "read", "share", "export"]),
    help="What it may ask about; repeat for several [send, personalise].",
)
@everywhere
def key_make(
    call: "Call", name: str, role: str, days: int | None, actions: tuple[str, ...]
) -> Answer:
    """Make a key for a program and print it, once."""
    from troth.surfaces.commands import staff as people

    return people.make_key(call, name, role, days or 0, actions)


@key.command("list")
@everywhere
def key_list(call: "Call") -> Answer:
    """List the keys, never themselves."""
    from troth.surfaces.commands import staff as people

    return people.list_keys(call)


@key.command("end")
@click.argument("name")
@everywhere
def key_end(call: "Call", name: str) -> Answer:
    """End a key at once."""
    from troth.surfaces.commands import staff as people

    return people.end_key(call, name)


# Messages


@root.group()
def template() -> None:
    """Message templates: templates/NAME.toml."""


@template.command("list")
@everywhere
def template_list(call: "Call") -> Answer:
    """Name the starters to begin from, and the templates here."""
    from troth.surfaces.commands import template as templates

    return templates.listed(call)


@template.command("new")
@click.argument("name")
@click.option("--from", "starter", required=True, metavar="STARTER", help="What to begin from.")
@click.option("--purpose", default="", help="What it is written for, if not the obvious one.")
@everywhere
def template_new(call: "Call", name: str, starter: str, purpose: str) -> Answer:
    """Write templates/NAME.toml from a starter, filled with the brand's own facts."""
    from troth.surfaces.commands import template as templates

    return templates.new(call, name, starter, purpose)


@template.command("check")
@click.argument("name")
@click.option("--live", is_flag=True, help="Also ask each linked page whether it is there.")
@everywhere
def template_check(call: "Call", name: str, *, live: bool) -> Answer:
    """Name everything to put right in a template, with its place and what to do."""
    from troth.surfaces.commands import template as templates

    return templates.check(call, name, live=live)


# Evidence


@root.group()
def ledger() -> None:
    """The append-only record of what was done, and its proofs."""


@ledger.command("head")
@everywhere
def ledger_head(call: "Call") -> Answer:
    """Show the newest signed checkpoint and the key it is signed with."""
    from troth.surfaces.commands import ledger as log

    return log.head(call)


@ledger.command("verify")
@click.option("--deep", is_flag=True, help="Open every event too, and walk every chain.")
@everywhere
def ledger_verify(call: "Call", *, deep: bool) -> Answer:
    """Recompute every entry, tile and root and check every signature."""
    from troth.surfaces.commands import ledger as log

    return log.verify(call, deep=deep)


@ledger.command("prove")
@click.argument("index", type=click.IntRange(0), required=False)
@click.option("--since", type=click.IntRange(1), help="Prove that nothing before was changed.")
@everywhere
def ledger_prove(call: "Call", index: int | None, since: int | None) -> Answer:
    """Prove that entry INDEX is in the ledger, or (--since SIZE) that it only grew."""
    from troth.surfaces.commands import ledger as log

    return log.prove(call, index, since)


@root.command()
@click.argument("address")
@click.option("--case", default="", metavar="REF", help="The complaint's own reference.")
@click.option("--out", default="complaint", show_default=True, metavar="DIR")
@click.option("--pdf", is_flag=True, help="The PDF alone, without receipts and notices.")
@everywhere
def complaint(call: "Call", address: str, case: str, out: str, *, pdf: bool) -> Answer:
    """Answer a complainant: the whole time-line as PDF, with receipts and notices beside it.

    ADDRESS is an e-mail address or outside id; - reads it from standard input.
    """
    from troth.surfaces.commands import complaint as complaints

    wanted = complaints.Wanted(case, Path(out), ("answer.pdf",) if pdf else ())
    return complaints.answer(call, address, wanted)


@root.command()
@click.option("--month", required=True, metavar="YYYY-MM", help="Which month.")
@click.option("--pdf", default="", metavar="FILE", help="Write it as a PDF too.")
@everywhere
def report(call: "Call", month: str, pdf: str) -> Answer:
    """Tell a month: campaigns, answers, refused attempts, who did what, who answers for it."""
    from troth.surfaces.commands import report as reports

    return reports.report(call, month, pdf)


# Running


@root.command()
@everywhere
def status(call: "Call") -> Answer:
    """Say how the house stands: ledger, followers, jobs, registries, disk; exit 1 if red."""
    from troth.surfaces.commands import status as standing

    return standing.status(call)


@root.command()
@click.option("--folder", default="demo", show_default=True, metavar="DIR")
@click.option("--no-serve", is_flag=True, help="Only the job and its figures.")
@click.option("--port", type=click.IntRange(1, 65535), default=8400, show_default=True)
@everywhere
def demo(call: "Call", folder: str, port: int, *, no_serve: bool) -> Answer:
    """Do the whole job on published data, print its figures, then show the pages."""
    from troth.surfaces.commands import running

    return running.demo(call, Path(folder), None if no_serve else port)


@root.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8400, show_default=True)
@click.option("--no-worker", is_flag=True, help="Only the pages; run troth worker elsewhere.")
@everywhere
def serve(call: "Call", port: int, *, no_worker: bool) -> Answer:
    """Show the pages of a workspace on this machine, and send what is due."""
    from troth.surfaces.commands import running

    return running.serve(call, port, "none" if no_worker else "beside")


@root.command()
@click.option("--relay", default="", metavar="HOST:PORT", help="Instead of the workspace's relay.")
@click.option("--once", is_flag=True, help="Do one round and leave.")
@click.option("--parent", type=click.IntRange(0), default=0, help="Leave with this process.")
@everywhere
def worker(call: "Call", relay: str, parent: int, *, once: bool) -> Answer:
    """Start campaigns that are due and hand their messages over, until interrupted."""
    from troth.surfaces.commands import worker as workers
    from troth.surfaces.commands.campaign import read_relay

    return workers.work(call, read_relay(relay), 1 if once else 0, parent)


@root.group()
def channel() -> None:
    """Calls, short messages, push and letters: texts/NAME.toml."""


@channel.command("plan")
@click.argument("name")
@click.option("--channel", "by", required=True, help="sms, whatsapp, push, call or post.")
@click.option("--text", default="", help="Which text; without it the one of the same name.")
@click.option("--audience", default="", help="Whom; without it the one of the same name.")
@everywhere
def channel_plan(call: "Call", name: str, by: str, text: str, audience: str) -> Answer:
    """Plan it; `troth campaign submit` and `approve` follow, as for mail."""
    from troth.surfaces.commands import channel as channels

    return channels.plan(call, channels.Asked(name, by, text, audience))


@channel.command("send")
@click.argument("name")
@click.option("--out", default="", metavar="FILE", help="Write a file instead of the provider's.")
@click.option("--yes", is_flag=True, help="Do not ask before sending.")
@everywhere
def channel_send(call: "Call", name: str, out: str, *, yes: bool) -> Answer:
    """Hand an approved campaign over to its channel's provider, or into a file."""
    from troth.surfaces.commands import channel as channels

    return channels.send(call, name, out, (lambda _question: True) if yes else _asked)


@channel.command("list")
@click.argument("name")
@click.option("--out", default="", metavar="DIR", help="Where [NAME-list].")
@click.option("--yes", is_flag=True, help="Do not ask before it is written.")
@everywhere
def channel_list(call: "Call", name: str, out: str, *, yes: bool) -> Answer:
    """Write who may be called today, with a receipt for each."""
    from troth.surfaces.commands import channel as channels

    return channels.listing(call, name, out, (lambda _question: True) if yes else _asked)


@root.group()
def sync() -> None:
    """Permissions out to other systems, stops in from them."""


@sync.command("out")
@click.argument("target")
@click.option("--out", default="", metavar="FILE", help="Instead of the target's own place.")
@click.option("--all", "again", is_flag=True, help="Begin anew and tell everybody.")
@everywhere
def sync_out(call: "Call", target: str, out: str, *, again: bool) -> Answer:
    """Tell a target of troth.toml who may be written to; only what changed since."""
    from troth.surfaces.commands import connections

    return connections.sync_out(call, target, out, again=again)


@sync.command("in")
@click.argument("source", metavar="FILE")
@everywhere
def sync_in(call: "Call", source: str) -> Answer:
    """Take in a mail tool's CSV, or a target's inbox: it narrows at once and never widens."""
    from troth.surfaces.commands import connections

    return connections.sync_in(call, source)


@root.group()
def webhook() -> None:
    """Other systems told when somebody stops."""


@webhook.command("add")
@click.argument("url")
@click.option("--name", required=True, help="Which system it is.")
@click.option("--events", required=True, metavar="LIST", help="Types it is told of, by comma.")
@click.option("--under", default="connections", show_default=True, help="Under which purpose.")
@click.option("--local", is_flag=True, help="It lies on this machine or in a private network.")
@everywhere
def webhook_add(  # noqa: PLR0913 - one parameter per option
    call: "Call", url: str, name: str, events: str, under: str, *, local: bool
) -> Answer:
    """Make a webhook; prints its secret, once."""
    from troth.surfaces.commands import connections

    return connections.webhook_add(call, connections.Wanted(url, name, events, under, local))


@webhook.command("list")
@everywhere
def webhook_list(call: "Call") -> Answer:
    """List webhooks, what waits for them and what was given up."""
    from troth.surfaces.commands import connections

    return connections.webhook_list(call)


@webhook.command("end")
@click.argument("name")
@everywhere
def webhook_end(call: "Call", name: str) -> Answer:
    """End one; what waits for it is never sent."""
    from troth.surfaces.commands import connections

    return connections.webhook_end(call, name)


@webhook.command("test")
@click.argument("name")
@everywhere
def webhook_test(call: "Call", name: str) -> Answer:
    """Send it a message about nobody."""
    from troth.surfaces.commands import connections

    return connections.webhook_test(call, name)


@webhook.command("rotate")
@click.argument("name")
@everywhere
def webhook_rotate(call: "Call", name: str) -> Answer:
    """Make a new secret; the one before signs as well until the next."""
    from troth.surfaces.commands import connections

    return connections.webhook_rotate(call, name)


@webhook.command("send")
@everywhere
def webhook_send(call: "Call") -> Answer:
    """Deliver what is due now, as the worker does."""
    from troth.surfaces.commands import connections

    return connections.webhook_send(call)


# Groups that lie in files of their own

for _group in (
    cli_access.access,
    cli_audit.audit,
    cli_audit.sbom,
    cli_case.case,
    cli_doctor.doctor,
    cli_keys.keys,
    cli_map.data_map,
    cli_witness.witness,
):  # fmt: skip
    root.add_command(_group)

for _command in cli_case.ACCESS:
    cli_access.access.add_command(_command)

for _command in cli_staff.COMMANDS:
    staff.add_command(_command)

for _command in cli_backup.COMMANDS:
    root.add_command(_command)
for _command in cli_witness.LEDGER:
    ledger.add_command(_command)


# The edge


def main() -> None:
    """Run one command line and leave with its exit status."""
    sys.exit(answer(sys.argv[1:]))


def answer(line: list[str]) -> int:
    """Run one command line; every error becomes one line and an exit status, never a traceback."""
    running = Running()
    try:
        return int(root.main(line, "troth", standalone_mode=False, obj=running) or 0)
    except (Stopped, KeyboardInterrupt, click.Abort):
        click.echo("troth: stopped; what was booked is kept, run it again to go on", err=True)
        return faults.STOPPED
    except click.ClickException as error:
        return _failed(_misspelt(error), running, line)
    except BrokenPipeError:
        sys.stdout = None
        return faults.OK
    except Exception as error:  # noqa: BLE001 - the edge: nothing may become a traceback
        return _failed(faults.fault_of(error), running, line)


def _failed(fault: Fault, running: Running, line: list[str]) -> int:
    status = faults.exit_of(fault.code)
    click.echo(faults.spoken(fault), err=True)
    if "--json" in line:
        click.echo(json.dumps(faults.problem(fault), sort_keys=True))
    if running.folder is not None:
        from troth.surfaces.commands.log import note

        note(running.folder, running.command, fault)
    return status


def _misspelt(error: click.ClickException) -> InvalidInput:
    """Say what is wrong with a command line in words of its grammar alone, never in its own."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "troth"
    remedy = f"see: {path} --help"
    named = getattr(error, "param", None)
    name = named.opts[0] if named is not None and named.opts else ""
    if isinstance(error, click.MissingParameter):
        return InvalidInput(f"{name or 'a value'} is missing", remedy)
    if isinstance(error, click.BadParameter):
        return InvalidInput(f"{name or 'a value'} is not one of the values it takes", remedy)
    if isinstance(error, click.NoSuchOption):
        return InvalidInput("there is no such option", remedy)
    return InvalidInput("this command line does not read", remedy)
