"""What staff took out, bulk exports, and canaries, on the command line."""

from troth.app.access import bench
from troth.capabilities.access import canaries, granting, quota
from troth.capabilities.access import exports as taken
from troth.capabilities.access.acts import may_act
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, refused
from troth.terms import zulu


def shown(call: Call) -> Answer:
    """List exports; nobody in them is named."""
    with call.opened() as ws:
        actor = call.actor(ws)
        with ws.store.look() as view:
            every, now = taken.listed(view), view.now
        mine = ws.desk.account(actor).partition("/")[2]
        if actor.role not in taken.MAY_CONFIRM:
            every = [e for e in every if e.account.partition("/")[2] == mine]
    rows = [
        (e.id, e.what, f"{e.people} people", f"by {e.account}", f"delete by {zulu(e.until)[:10]}",
         _state(e, now))
        for e in every
    ]  # fmt: skip
    told = [
        {
            "id": e.id, "what": e.what, "people": e.people, "account": e.account,
            "purpose": e.purpose, "reason": e.reason, "at": zulu(e.at), "until": zulu(e.until),
            "confirmed": zulu(e.confirmed) if e.confirmed else None,
        }
        for e in every
    ]  # fmt: skip
    head = f"{sum(e.open for e in every)} exports wait for somebody to say they are deleted."
    return Answer({"exports": told}, [head, *columns(rows)])


def _state(export: taken.Export, now: int) -> str:
    if not export.open:
        return "deleted"
    return "overdue" if now >= export.until else "open"


def confirm(call: Call, ident: str) -> Answer:
    """Say that an export was deleted everywhere it was copied to."""
    with call.opened() as ws:
        done = taken.confirm(ws.desk, ident, call.actor(ws))
        ws.sign()
    return Answer({"id": done.id, "confirmed": zulu(done.confirmed)}, ["Noted as deleted."])


def ask_bulk(call: Call, people: int, reason: str, purpose: str) -> Answer:
    """Ask to take out more people than a day allows, under one purpose."""
    with call.opened() as ws:
        made = quota.ask_bulk(ws.desk, people, reason, call.actor(ws), purpose)
        ws.sign()
    return Answer(
        {"id": made.id, "state": made.state}, [f"Asked: {made.id}. Another person agrees."]
    )


def answer_bulk(call: Call, ident: str, word: str) -> Answer:
    """Agree to a bulk export or refuse it."""
    with call.opened() as ws:
        actor = call.actor(ws)
        above = granting.above(bench(ws), actor)
        done = quota.answer_bulk(ws.desk, ident, actor, word, above)
        ws.sign()
    until = f" It holds until {zulu(done.until)}." if done.until else ""
    return Answer({"id": done.id, "state": done.state}, [f"{done.state.capitalize()}.{until}"])


def bulks(call: Call) -> Answer:
    """List bulk exports asked for."""
    with call.opened() as ws, ws.store.look() as view:
        every, now = quota.bulks(view), view.now
    rows = [
        (
            e.id, e.standing(now), f"{e.used} of {e.people} people", e.account,
            e.purpose or "service", e.reason,
        )
        for e in every
    ]  # fmt: skip
    told = [
        {
            "id": e.id, "state": e.standing(now), "people": e.people, "used": e.used,
            "account": e.account, "purpose": e.purpose or "service", "reason": e.reason,
        }
        for e in every
    ]  # fmt: skip
    return Answer({"bulk": told}, columns(rows) or ["Nobody asked for a bulk export."])


def plant(call: Call, count: int) -> Answer:
    """Plant canaries; say how many there are, never which."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, canaries.MAY_PLANT)) is not None:
            return refused(no, "Not planted.")
        held = canaries.plant(ws.desk, count, actor)
        ws.sign()
    return Answer(
        {"canaries": held}, [f"{held} canaries are in the record. Nobody is told which."]
    )
