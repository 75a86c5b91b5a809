"""A package as people read it: one page without script, the same on paper, and the notes."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from troth.capabilities.rights.package_sections import Section
from troth.capabilities.rights.package_words import N_, Reader
from troth.engines.paper import Block as Piece
from troth.engines.paper import pdf
from troth.terms import from_zulu

_COLOURS: Final = (
    ":root{--ground:#f6f5f2;--sheet:#fff;--ink:#1d1d1b;--soft:#55534e;--accent:#14532d;"
    "--band:#14532d;--on-band:#fff;--foot:#ecebe6}"
)
_SHEET: Final = (
    "*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}header{background:var(--band);color:var(--on-band);"
    "padding:24px}main{max-width:60rem;margin:0 auto;padding:0 16px 48px}header>*{max-width:58rem;"
    "margin:0 auto}h1{font-size:1.6rem;margin:0 auto}h2{font-size:1.2rem;margin:40px 0 8px}"
    "p,li{max-width:68ch}.soft{color:var(--soft)}table{border-collapse:collapse;width:100%;"
    "background:var(--sheet)}th,td{text-align:left;vertical-align:top;padding:8px;"
    "border-bottom:1px solid var(--soft);overflow-wrap:break-word}th{font-size:.85rem}"
    "a{color:var(--accent)}nav ul{columns:2;padding-left:20px}"
    "@media(max-width:40rem){thead{position:absolute;left:-999rem}tr{display:block;"
    "padding:8px 0;border-bottom:2px solid var(--soft)}td{display:block;border:0;padding:4px 8px}"
    "td::before{content:attr(data-th);display:block;font-size:.8rem;color:var(--soft)}"
    "nav ul{columns:1}}"
    "@media print{body{background:#fff;color:#000;font-size:10pt}header{background:none;"
    "color:#000;padding:0}nav{display:none}h2{break-after:avoid}tr{break-inside:avoid}}"
)


def page(data: Mapping[str, Any], parts: Sequence[Section], reader: Reader) -> bytes:
    """Write the page: one file, no script, nothing fetched."""
    _ = reader.tongue.gettext
    company = data["controller"]["name"]
    title = _("Your data at %(company)s", company=company)
    made = reader.tongue.moment(from_zulu(data["made_at"]))
    links = "".join(f'<li><a href="#{p.key}">{escape(p.title)}</a></li>' for p in parts)
    body = "".join(_section(part, reader) for part in parts)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{escape(reader.tongue.language)}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{_COLOURS}{reader.colours}{_SHEET}</style></head>"
        f"<body><header><h1>{escape(title)}</h1><p>{escape(made)}</p></header><main>"
        f"<p>{escape(_(_INTRODUCTION))}</p><nav><ul>{links}</ul></nav>{body}"
        f"<h2>{escape(_('The files beside this page'))}</h2><ul>"
        + "".join(
            f"<li><b>{escape(name)}</b>: {escape(said)}</li>" for name, said in notes(reader)
        )
        + "</ul></main></body></html>\n"
    ).encode()


_INTRODUCTION = N_(
    "This is everything we hold about you: what you told us, what was recorded of you, what we "
    "did with it and who saw it. The files beside this page hold the same for programs."
)


def _section(part: Section, reader: Reader) -> str:
    _ = reader.tongue.gettext
    lead = f'<p class="soft">{escape(part.lead)}</p>' if part.lead else ""
    if not part.rows:
        return f'<h2 id="{part.key}">{escape(part.title)}</h2><p>{escape(part.empty)}</p>'
    heads = "".join(f"<th scope=col>{escape(head)}</th>" for head in part.heads)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td data-th="{escape(head)}">{escape(str(cell))}</td>'
            for head, cell in zip(part.heads, row, strict=True)
        )
        + "</tr>"
        for row in part.rows
    )
    more = ""
    if part.left:
        said = _("%(n)s more are in %(file)s.", n=reader.tongue.number(part.left), file=part.file)
        more = f"<p>{escape(said)}</p>"
    return (
        f'<h2 id="{part.key}">{escape(part.title)}</h2>{lead}<table><thead><tr>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table>{more}"
    )


def paper(data: Mapping[str, Any], parts: Sequence[Section], reader: Reader) -> bytes:
    """Write the summary as a PDF: the same sections, at most 40 rows of each."""
    _ = reader.tongue.gettext
    company = data["controller"]["name"]
    title = _("Your data at %(company)s", company=company)
    pieces = [
        Piece(title, "title"),
        Piece(reader.tongue.moment(from_zulu(data["made_at"])), space=8),
        Piece(_(_INTRODUCTION), space=8),
    ]
    for part in parts:
        pieces.append(Piece(part.title, "heading", space=18, keep=True))
        if not part.rows:
            pieces.append(Piece(part.empty, space=4))
        for row in part.rows[:_ON_PAPER]:
            told = zip(part.heads[1:], row[1:], strict=True)
            text = "; ".join(f"{head}: {cell}" for head, cell in told if cell)
            pieces.append(Piece(text or " ", "small", label=str(row[0]) or " ", space=4))
        left = part.left + max(0, len(part.rows) - _ON_PAPER)
        if left and part.file:
            n = reader.tongue.number(left)
            pieces.append(
                Piece(_("%(n)s more are in %(file)s.", n=n, file=part.file), "small", space=4)
            )
    return pdf(title, pieces, company)


_ON_PAPER: Final = 40


def notes(reader: Reader) -> list[tuple[str, str]]:
    """Say what each file is."""
    _ = reader.tongue.gettext
    return [(name, _(said)) for name, said in _NOTES]


_NOTES: Final = (
    ("index.html", N_("this package as a page; it needs no network and prints well")),
    ("summary.pdf", N_("the same in short, on paper")),
    ("data.json", N_("everything, for programs; schema.json says what each part means")),
    ("values.csv", N_("the values we hold, with source, purposes, recipients and end")),
    ("contacts.csv", N_("your addresses")),
    ("dealings.csv", N_("sales, contracts and inquiries that rules depend on")),
    ("consents.csv", N_("every answer you gave")),
    ("preferences.csv", N_("what you chose within what you agreed to")),
    ("messages.csv", N_("every message decided on, and what became of it")),
    ("activity.csv", N_("what you bought and looked at")),
    ("readings.csv", N_("who looked at your data, and every decision about using it")),
    ("requests.csv", N_("your requests and their steps")),
    ("shared.csv", N_("what left this house, and to whom")),
    ("events.jsonl", N_("every event of your record, one on a line, oldest first")),
    ("receipts/", N_("one proof for each event; policy says whose signature counts")),
    ("schema.json", N_("JSON Schema of data.json")),
)


def readme(data: Mapping[str, Any], reader: Reader) -> bytes:
    """Write the notes: what each file is, how it is checked, how it is taken elsewhere."""
    _ = reader.tongue.gettext
    title = _("Your data at %(company)s", company=data["controller"]["name"])
    lines = [title, "=" * len(title), reader.tongue.moment(from_zulu(data["made_at"])), ""]
    lines += [f"{name}\n    {said}" for name, said in notes(reader)]
    for head, texts in _EXPLAINED:
        lines += ["", _(head), "-" * len(_(head)), *(_(text) for text in texts)]
    return ("\n".join(lines) + "\n").encode()


_EXPLAINED: Final[Sequence[tuple[str, Iterable[str]]]] = (
    (N_("Check it without trusting us"), (
        N_("Each receipt proves that an event was recorded in a signed ledger before the time of "
           "this package, and not changed since:"),
        "    troth receipt verify receipts/FILE --policy policy",
        N_("A receipt of an event that names somebody else proves that the event exists and "
           "shows nothing of it. An event younger than the last signature has no receipt yet."),
    )),
    (N_("Take it elsewhere"), (
        "    troth import package FILE",
        N_("What you told and what was seen of you is taken over unchanged: facts, values, "
           "addresses, activity. Your answers and dealings are carried along, but they were with "
           "one company: elsewhere a no counts at once, and a yes only as far as it is proven."),
    )),
    (N_("What is not in it"), (
        N_("What names somebody else: it is marked as left out. Work over many people at once, "
           "which is recorded once for all of them. The texts of messages: they are not kept "
           "after they were sent."),
    )),
)  # fmt: skip
