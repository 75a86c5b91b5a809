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
    cli_campaign,
    cli_case,
    cli_connections,
    cli_consent,
    cli_doctor,
    cli_keys,
    cli_map,
    cli_person,
    cli_staff,
    cli_witness,
    faults,
)
from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import Running, Stopped, asked, everywhere

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

    agreed = now or asked("Erase this person for good? This cannot be undone")
    return rights.erase(call, person, request, agreed=agreed, now=now)


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


# Groups that lie in files of their own

for _group in (
    cli_access.access,
    cli_audit.audit,
    cli_audit.sbom,
    cli_campaign.audience,
    cli_campaign.campaign,
    cli_case.case,
    cli_connections.channel,
    cli_connections.sync,
    cli_connections.webhook,
    cli_consent.consent,
    cli_doctor.doctor,
    cli_keys.keys,
    cli_map.data_map,
    cli_person.person,
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
