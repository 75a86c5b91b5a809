"""Mails as they come back: failures, complaints and answers to a message that was really sent."""

from email import message_from_bytes, policy

BRAND = "hello@marula.example"


def _sent(raw):
    return message_from_bytes(raw, policy=policy.default)


def message_id(raw):
    return _sent(raw)["message-id"].strip()


def bounce(raw, status="5.1.1", action="failed", named=""):
    """A delivery status notification (RFC 3464) with the headers of the message returned."""
    told = named or message_id(raw)
    return (
        "From: MAILER-DAEMON@relay.example\r\nTo: hello@marula.example\r\n"
        "Subject: Undelivered\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; relay.example\r\n\r\n"
        f"Final-Recipient: rfc822; somebody.else@post.example\r\nAction: {action}\r\n"
        f"Status: {status}\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {told}\r\n\r\n--b--\r\n"
    ).encode()


def complaint(raw, named="", token=""):
    """A feedback report (RFC 5965) with the message itself, its recipient struck out."""
    if token:
        told = f"List-Unsubscribe: <https://my.marula.example/stop/{token}>\r\n"
    else:
        told = f"Message-ID: {named or message_id(raw)}\r\n"
    return (
        "From: fbl@provider.example\r\nTo: hello@marula.example\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSomebody pressed the button.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        "Feedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: x/1\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{told}Subject: x\r\n\r\nx\r\n--b--\r\n"
    ).encode()


def reply(raw, text, sender="anybody@post.example", headers="", named=""):
    """An answer as a mail program writes it, quoting the message."""
    told = named or message_id(raw)
    return (
        f"From: {sender}\r\nTo: {BRAND}\r\nSubject: Re: Hello\r\nIn-Reply-To: {told}\r\n"
        f"References: {told}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{text}\r\n\r\n> unsubscribe, stop, hou op\r\n"
    ).encode()
