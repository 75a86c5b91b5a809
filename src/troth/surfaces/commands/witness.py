"""What `troth witness` and the ledger's key commands do."""

from pathlib import Path

from troth.app import witness_server as running
from troth.app import witnesses
from troth.capabilities.custody import Standing
from troth.surfaces import witness_server
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call
from troth.surfaces.words import spoken
from troth.terms import Instant

STATES = {
    "never": "was never asked",
    "cosigned": "cosigned",
    "silent": "does not answer",
    "refused": "refuses",
    "ahead": "holds a larger ledger than this record: an older copy runs here",
}
"""State of a witness → words."""


def status(call: Call) -> Answer:
    """Say how checkpoint and witnesses stand; exit 1 where too few cosigned the newest."""
    with call.opened() as ws:
        found, zone = witnesses.witnessed(ws), ws.settings.zone
    rows = [
        {
            "name": w.name,
            "operator": w.operator,
            "outside": w.outside,
            "size": s.size,
            "at": s.at,
            "state": s.state,
            "status": s.status,
        }
        for w, s in found.standings
    ]
    data = {
        "size": found.size,
        "signed": found.signed,
        "root": found.root,
        "witnesses": rows,
        "operators": list(found.trust.operators),
        "needed": found.trust.needed,
        "met": found.met,
    }
    lines = [f"{found.signed:,} of {found.size:,} entries are under the newest checkpoint."]
    lines += [_row(w.name, w.operator, s, zone) for w, s in found.standings]
    lines.append(_quorum(found))
    return Answer(data, lines, 0 if found.met or not found.trust.needed else 1)


def _row(name: str, operator: str, found: Standing, zone: str) -> str:
    since = f", at {spoken(Instant(found.at), zone)}" if found.at else ""
    return f"  {name} ({operator}): {STATES[found.state]}; {found.size:,} entries{since}"


def _quorum(found: witnesses.Witnessed) -> str:
    operators = len(found.trust.operators)
    if not operators:
        return "No outside witness is named: receipts rest on the house's own signature."
    if not found.trust.needed:
        return f"{operators} outside operators are asked; no quorum is set."
    said = "have" if found.met else "have NOT"
    return f"{found.trust.needed} of {operators} outside operators must cosign, and {said}."


def ask(call: Call) -> Answer:
    """Ask every witness now; exit 1 where one did not cosign."""
    with call.opened() as ws:
        done = witnesses.ask_witnesses(ws)
    data = {
        name: {"state": s.state, "size": s.size, "status": s.status} for name, s in done.items()
    }
    lines = [f"  {name}: {STATES[s.state]}" for name, s in done.items()]
    failed = any(s.state != "cosigned" for s in done.values())
    return Answer({"witnesses": data}, lines or ["Nobody is left to ask."], int(failed))


def policy(call: Call) -> Answer:
    """Print the policy."""
    with call.opened() as ws:
        text = ws.signer.text()
    return Answer({"policy": text}, text.rstrip("\n").split("\n"))


def keys(call: Call) -> Answer:
    """List the ledger's keys."""
    with call.opened() as ws:
        found = ws.signer.keys
    rows = [{"vkey": k.vkey, "state": k.state, "since": k.since, "until": k.until} for k in found]
    return Answer({"keys": rows}, [f"  {k.state}, from {k.since:,}: {k.vkey}" for k in found])


def rotate(call: Call) -> Answer:
    """Begin a new key beside the old one."""
    with call.opened() as ws:
        made = witnesses.rotate_key(ws, call.actor(ws))
    return Answer(
        {"vkey": made.vkey, "since": made.since},
        [
            f"A new key signs beside the old one, from entry {made.since:,} on:",
            f"  {made.vkey}",
            "Give it to the witnesses, publish the policy, copy keys/; later: rotate --end.",
        ],
    )


def retire(call: Call) -> Answer:
    """End an overlap."""
    with call.opened() as ws:
        done = witnesses.retire_keys(ws, call.actor(ws))
    lines = [f"Signs no more: {each.vkey}" for each in done]
    return Answer({"retired": [k.vkey for k in done]}, lines or ["Only one key signs already."])


def disown(call: Call, vkey: str, cutoff: int) -> Answer:
    """Disown a key."""
    with call.opened() as ws:
        done = witnesses.disown_key(ws, vkey, cutoff, call.actor(ws))
    return Answer(
        {"disowned": [k.vkey for k in done], "cutoff": cutoff},
        [
            f"Disowned above {cutoff:,} entries. The policy says so from now on: hand it out.",
            "Destroy the key's file in keys/ once its copies are found.",
        ],
    )


def init(call: Call, data: str, name: str) -> Answer:
    """Make a witness."""
    del call
    vkey = running.init_witness(Path(data), name)
    return Answer({"vkey": vkey}, [vkey, "Give this line to the houses that want you to watch."])


def serve(
    call: Call, data: str, logs: tuple[str, ...], place: tuple[str, int], new_key: str
) -> Answer:
    """Serve a witness until stopped."""
    host, port = place
    made = running.open_witness(Path(data), logs, new_key)
    call.tell(f"{made.store.vkey}")
    call.tell(f"Witness of {len(made.logs)} logs on http://{host}:{port}; stop with Ctrl-C.")
    witness_server.serve(made, port, host)
    return Answer({"stopped": True}, ["Stopped."])
