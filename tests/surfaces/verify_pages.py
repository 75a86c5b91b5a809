"""A browser with the verifier's scripts on an empty page from a disk, and mutations to feed it."""

import base64
import random
from contextlib import contextmanager
from importlib.resources import files

from playwright.sync_api import sync_playwright

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import proof

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
STATIC = files("troth.surfaces.web") / "static"
KINDS = {
    "malformed": "InvalidInput", "altered": "EvidenceBroken", "foreign": "EvidenceBroken",
    "witnesses": "EvidenceBroken", "holds": "holds",
}  # fmt: skip
ASK = """async ([policy, receipts]) => {
    const known = await trothProof.parsePolicy(policy), said = {}, out = [];
    for (const each of receipts) {
        const raw = Uint8Array.from(atob(each), c => c.charCodeAt(0));
        try { await trothProof.readReceipt(raw, known); out.push('holds'); }
        catch (fault) { out.push(fault.code ?? String(fault.stack)); }
    }
    return out;
}"""


@contextmanager
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def bare_page(opened, folder, *scripts):
    """An empty page opened from a disk, with scripts of ours on it."""
    place = folder / "bare.html"
    place.write_text("<!doctype html><meta charset=utf-8><title>bare</title>")
    page = opened.new_page()
    page.goto(place.as_uri())
    for name in scripts or ("verify.js", "history.js"):
        page.add_script_tag(content=(STATIC / name).read_text("utf-8"))
    return page


def in_browser(page, policy, receipts):
    """The verdict on each receipt as the browser gives it, in one go."""
    return page.evaluate(ASK, [policy, [base64.b64encode(each).decode() for each in receipts]])


def in_python(policy, receipts):
    """The class of the verdict on each receipt as the kernel gives it."""
    out = []
    for each in receipts:
        try:
            proof.verify_receipt(each, policy)
        except (InvalidInput, EvidenceBroken) as fault:
            out.append(type(fault).__name__)
        else:
            out.append("holds")
    return out


def mutations(receipt: bytes, seed=7):
    """Every kind of edit at every place of a receipt; never the receipt itself."""
    rng = random.Random(seed)
    text = receipt.decode()
    found = []
    b64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for i, old in enumerate(text):
        head, tail = text[:i], text[i + 1 :]
        news = [rng.choice(b64), rng.choice("0123456789"), rng.choice("=-_ \t\r\n"), "é", chr(0)]
        news += [old.swapcase(), chr(ord(old) ^ 1), chr(ord(old) + 1)]
        found += [head + new + tail for new in news]
        found += [head + tail, head + old + old + tail, head + rng.choice(b64) + old + tail]
        found += [head + rng.choice("=\n \r\u200b\ufeff—-") + old + tail]
    lines = text.split("\n")
    for i in range(len(lines)):
        found += ["\n".join(lines[:i] + lines[i + 1 :]), "\n".join(lines[: i + 1] + lines[i:])]
        found.append("\n".join([*lines[:i], "", *lines[i:]]))
        for j in range(i):
            if lines[i].startswith("—") and lines[j].startswith("—"):
                continue  # signatures stand in any order (c2sp.org/signed-note)
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            found.append("\n".join(swapped))
    found += [*tricks(text, lines), text + "\n", text[:-1], text.replace("\n", "\r\n"), ""]
    raw = [each.encode("utf-8", "surrogatepass") for each in found]
    raw += [
        receipt[:i] + bytes([receipt[i] ^ 0x80]) + receipt[i + 1 :] for i in range(len(receipt))
    ]
    raw += [receipt[:i] for i in range(len(receipt))]
    return [each for each in dict.fromkeys(raw) if each != receipt]


def tricks(text, lines):
    """Base64 in other spellings, doubled signatures, other origins, other numbers."""
    for line in lines:
        word = line.rpartition(" ")[2]
        if len(word) > 40:
            for new in (
                word.rstrip("="),
                word + "=",
                word.replace("+", "-").replace("/", "_"),
                word[:20] + "\n" + word[20:],
                word[:20] + " " + word[20:],
                _bits(word),
            ):
                yield text.replace(word, new)
        if line.startswith("—"):
            yield text.replace(line, line + "\n" + line)
            yield text.replace(line, line.replace("— ", "—  "))
            yield text.replace(line, line.replace("— ", "- "))
            yield text + (line + "\n") * 64
    for old, new in (
        ("/ledger", "/other"),
        ("/ledger", "/ledger "),
        ("index ", "index 0"),
        ("index ", "index +"),
        ("index ", "index 1"),
        ("@v1", "@v2"),
        ("index ", "index 99999999999999999"),
    ):
        yield text.replace(old, new)
        yield text.replace(old, new, 1)


def _bits(word):
    """The same bytes in base64 whose unused bits are not zero."""
    place = len(word.rstrip("=")) - 1
    return word[:place] + chr(ord(word[place]) + 1) + word[place + 1 :]
