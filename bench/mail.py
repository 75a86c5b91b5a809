"""Mail: fill, sign and hand over, ours beside dkimpy, stdlib email and smtplib in the same run.

    python bench/mail.py [messages]

Prints CPU microseconds per message (this process only) and ratios; bars are said, never asserted.
"""

import base64
import email.message
import email.policy
import smtplib
import sys
import tempfile
import time
from pathlib import Path

import dkim as dkimpy
from harness import print_environment, row
from mail_sink import MailSink

from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.crypto import RsaKey, ed25519_sign, rsa_generate
from troth.engines.mail import Envelope, Frames, Signer, parse_template, sign
from troth.terms import Outgoing

ROW = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
WORDS = "Everything for the table, the kitchen and the evening on the stoep. "
TEMPLATE = {
    "name": "bench",
    "version": 1,
    "subject": "{{first_name}}, your favourites are back",
    "preheader": "Kept until Sunday",
    "hosts": ["marula.example"],
    "mjml": "<mjml><mj-body>"
    + ROW.format("Hello {{first_name}}, " + WORDS * 6)
    + ROW.format('<a href="{{offer}}">See them</a>')
    + ROW.format("{{product}} and {{town}}: {{code}}")
    + "</mj-body></mjml>",
    "text": "Hello {{first_name}},\n" + WORDS * 3 + "\n{{offer}}\n{{product}} {{town}} {{code}}\n",
    "slots": {
        name: {"category": "", "escaping": "text", "fallback": "x", "max_chars": 80}
        for name in ("first_name", "product", "town", "code")
    }
    | {
        "offer": {
            "category": "",
            "escaping": "link",
            "fallback": "https://marula.example/",
            "max_chars": 300,
        }
    },
}
VALUES = {
    "first_name": "Zoë",
    "product": "Kettle & cup, 1.7 l",
    "town": "Gqeberha",
    "code": "7K2M-9QWX-4T",
    "offer": "https://marula.example/o/abcdef?from=mail&n=7",
}
SEED = bytes(range(32))
ROUNDS = 8


def cpu_us(count, work):
    """Return CPU microseconds per call, the best of `ROUNDS`."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(count):
            work()
        rounds.append((time.process_time() - begun) / count * 1e6)
    return min(rounds)


ROWS = []
RSA_BAR_US, ED25519_BAR_US = 500, 100


def line(label, ours, peer=None, peer_name="", bar=None):
    if peer:
        ROWS.append((f"mail, {label}, beside {peer_name}", ours, peer, bar))
    ratio = f"{peer_name} {peer:9.1f} µs   {peer / ours:6.1f} times" if peer else ""
    print(f"{label:<34}{ours:9.1f} µs   {ratio}")


def by_stdlib(raw):
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    plain, rich = (part.get_content() for part in parsed.iter_parts())

    def build():
        message = email.message.EmailMessage(policy=email.policy.SMTP)
        message["From"], message["To"] = "Marula <news@marula.example>", "zoe@customer.example"
        message["Subject"] = "Zoë, your favourites are back"
        message.set_content(plain, cte="quoted-printable")
        message.add_alternative(rich, subtype="html", cte="quoted-printable")
        return message.as_bytes()

    return build


def by_dkimpy(raw, pem):
    unsigned = raw[raw.index(b"From: ") :]
    wanted = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]

    def signer(selector, algorithm, key):
        return lambda: dkimpy.sign(
            unsigned, selector, b"marula.example", key, include_headers=wanted,
            canonicalize=(b"relaxed", b"relaxed"), signature_algorithm=algorithm,
        )  # fmt: skip

    return (
        signer(b"e1", b"ed25519-sha256", base64.b64encode(SEED)),
        signer(b"r1", b"rsa-sha256", pem),
    )


def signing(count):
    pem, now = rsa_generate(), int(time.time())
    frame = Frames(parse_template(TEMPLATE)).of(frozenset(), VALUES)
    envelope = Envelope(
        "Marula", "news@marula.example", "zoe@customer.example", "<a1@marula.example>", now,
        "offers.marula.example", "https://marula.example/u/0123456789abcdef", "ref-0123456789",
    )  # fmt: skip
    ed = Signer("marula.example", "e1", "ed25519-sha256", SEED)
    rsa = Signer("marula.example", "r1", "rsa-sha256", RsaKey(pem))
    made = frame.fill(VALUES, envelope)
    raw = sign(made, (ed, rsa), now)
    ed_peer, rsa_peer = by_dkimpy(raw, pem)
    print(f"message of {len(raw)} bytes, CPU per message, best of {ROUNDS} rounds of {count}\n")
    fill = cpu_us(count, lambda: frame.fill(VALUES, envelope))
    both = cpu_us(count, lambda: sign(made, (ed, rsa), now))
    line("fill", fill, cpu_us(count // 10, by_stdlib(raw)), "stdlib email")
    line("sign Ed25519", cpu_us(count, lambda: sign(made, (ed,), now)),
         cpu_us(count // 10, ed_peer), "dkimpy", ED25519_BAR_US)  # fmt: skip
    line("sign RSA-2048", cpu_us(count, lambda: sign(made, (rsa,), now)),
         cpu_us(max(count // 40, 5), rsa_peer), "dkimpy", RSA_BAR_US)  # fmt: skip
    line("sign both", both)
    raw_both = cpu_us(count, lambda: (ed25519_sign(SEED, b"x" * 32), rsa.key.sign(b"x" * 900)))
    line("  of which raw Ed25519 + RSA-2048", raw_both)
    line("fill + both signatures", fill + both)
    return raw


def handing_over(count, raw):
    sender, recipient = "bounce@marula.example", "zoe@customer.example"
    messages = [Outgoing(f"r{n}", sender, recipient, raw) for n in range(count)]
    with MailSink() as port, tempfile.TemporaryDirectory() as folder:
        transport = SmtpTransport("127.0.0.1", port, "none")

        def ours():
            with HandoverJournal(Path(folder) / "journal") as journal:
                outcomes = transport.hand_over(messages, _yes, journal)
                assert sum(o.state == "handed" for o in outcomes) == count

        def theirs():
            with smtplib.SMTP("127.0.0.1", port) as peer:
                for _ in range(count):
                    peer.sendmail(sender, [recipient], raw)

        line("hand over, journal included",
             cpu_us(1, ours) / count, cpu_us(1, theirs) / count, "smtplib")  # fmt: skip


def _yes(_ref):
    return True


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print_environment("cryptography", "dkimpy")
    raw = signing(count)
    handing_over(count, raw)
    for name, ours, peer, bar in ROWS:
        row(name, ours, peer=peer, bar=bar, unit="µs of CPU", less_is_better=True)


if __name__ == "__main__":
    main()
