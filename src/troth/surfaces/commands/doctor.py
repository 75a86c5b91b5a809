"""Every protection looked at, on the command line."""

from dataclasses import asdict

from troth.app import doctor as looking
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call

MARKS = {"good": "ok ", "bad": "BAD", "unknown": "?  ", "off": "-  "}


def doctor(call: Call) -> Answer:
    """Look at everything; red first, with what to do."""
    with call.opened() as ws:
        found = looking.examine(ws)
    bad = looking.bad(found)
    unseen = sum(1 for each in found if each.state == "unknown")
    data = {"bad": len(bad), "unknown": unseen, "checks": [asdict(each) for each in found]}
    lines = []
    for each in found:
        lines.append(f"{MARKS[each.state]} {each.step:<8} {each.title}: {each.said}")
        if each.remedy and each.state in {"bad", "unknown"}:
            lines.append(f"      → {each.remedy}")
    lines.append(
        f"{len(bad)} of {len(found)} do not hold; {unseen} could not be looked at."
        if bad or unseen
        else f"All {len(found)} that were looked at hold."
    )
    return Answer(data, lines, 1 if bad else 0)
