"""A message's texts as fields of a form, and a form's texts put back into the message."""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from troth.engines import mail
from troth.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Edited:
    """A form's text: the whole source, and what could not be taken over, by field."""

    source: str
    refused: Mapping[str, str]


def edited_source(source: str, form: Mapping[str, str]) -> Edited:
    """Put a form's texts into a template; a text that would touch a slot is left as it was.

    The plain part follows a reworded text where it said the same words once.
    """
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return Edited(source, {"source": "The file is no TOML; mend it where it lies."})
    refused: dict[str, str] = {}
    mjml, text = str(data.get("mjml", "")), _lines(form, "text", str(data.get("text", "")))
    written = _lines(form, "mjml", mjml)
    if written != mjml:
        mjml = written
    else:
        mjml, text = _reworded(mjml, text, form, refused)
    for key in ("subject", "preheader"):
        data[key] = " ".join(form.get(key, str(data.get(key, ""))).split())
    data |= {"mjml": mjml, "text": text}
    same = tomllib.loads(source) == data
    return Edited(source if same else mail.write_template(data, mail.head_of(source)), refused)


def _lines(form: Mapping[str, str], key: str, before: str) -> str:
    """Return a text area's content with the line ends of the file, or what stood before."""
    if key not in form:
        return before
    given = form[key].replace("\r\n", "\n").replace("\r", "\n")
    return before if given.strip("\n") == before.strip("\n") else given.rstrip("\n") + "\n"


def _reworded(
    mjml: str, text: str, form: Mapping[str, str], refused: dict[str, str]
) -> tuple[str, str]:
    taken: dict[int, str] = {}
    for number, block in enumerate(mail.blocks(mjml)):
        given = form.get(f"b{number}")
        if given is None or given.split() == block.text.split():
            continue
        try:
            mail.reworded(mjml, {number: given})
        except InvalidInput as fault:
            refused[f"b{number}"] = sentence(f"{fault.message}; {fault.remedy}")
            continue
        taken[number] = given
        before, after = (" ".join(t.replace("**", "").split()) for t in (block.text, given))
        if text.count(before) == 1:
            text = text.replace(before, after)
    return mail.reworded(mjml, taken), text


Fields = list[tuple[int, str, str, str]]
"""Number of a text, its label, what stands in its field, and what is wrong with it."""


def fields_of(
    blocks: Sequence[mail.Block], form: Mapping[str, str], refused: Mapping[str, str]
) -> list[tuple[str, Fields]]:
    """Return the texts as fields: those of the message, and those of its foot."""
    foot = next((n for n, block in enumerate(blocks) if "why" in block.slots), len(blocks))
    counts = Counter(block.role for block in blocks)
    seen: Counter[str] = Counter()
    fields: Fields = []
    for number, block in enumerate(blocks):
        seen[block.role] += 1
        label = f"{block.role} {seen[block.role]}" if counts[block.role] > 1 else block.role
        given = form.get(f"b{number}", block.text)
        fields.append((number, label, " ".join(given.split()), refused.get(f"b{number}", "")))
    return [("Texts", fields[:foot]), ("At the foot", fields[foot:])]


def sentence(text: str) -> str:
    """Write a fault's words as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
