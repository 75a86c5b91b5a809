"""What a campaign did, on the command line."""

from troth import app
from troth.surfaces import outcome_words
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, plain_name


def results(call: Call, name: str) -> Answer:
    """Count a campaign's outcome now and tell it."""
    plain_name(name, "the campaign")
    with call.opened() as ws:
        found = app.count_results(ws, name, call.actor(ws))
        ws.sign()
    said, rest = outcome_words.verdict(found)
    lines = [said, rest]
    if found.effect:
        lines += columns(
            [("", "people", "bought", "rate")]
            + [(r.title, r.people, r.bought, r.rate) for r in outcome_words.lines(found.effect)]
        )
    lines += columns([(count, title) for title, count in outcome_words.came(found)])
    lines += columns(
        [
            (r["title"], r["rate"], r["said"], f"limits {r['limit']}")
            for r in outcome_words.rates(found)
        ]
    )
    return Answer(outcome_words.data(found), lines)
