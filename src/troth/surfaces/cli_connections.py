"""How `troth channel`, `troth sync` and `troth webhook` are spelt: tools beside the house."""

from typing import TYPE_CHECKING

import click

from troth.surfaces.commands.answer import Answer
from troth.surfaces.frame import asked, everywhere

if TYPE_CHECKING:
    from troth.surfaces.commands.call import Call


@click.group()
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

    return channels.send(call, name, out, (lambda _question: True) if yes else asked)


@channel.command("list")
@click.argument("name")
@click.option("--out", default="", metavar="DIR", help="Where [NAME-list].")
@click.option("--yes", is_flag=True, help="Do not ask before it is written.")
@everywhere
def channel_list(call: "Call", name: str, out: str, *, yes: bool) -> Answer:
    """Write who may be called today, with a receipt for each."""
    from troth.surfaces.commands import channel as channels

    return channels.listing(call, name, out, (lambda _question: True) if yes else asked)


@click.group()
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


@click.group()
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
