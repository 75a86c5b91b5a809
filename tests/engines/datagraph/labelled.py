"""A labelled set of columns, made: names as shops write them, values nobody has."""

import random

from troth.engines.datagraph.shapes import luhn

PERSONAL = {
    "contact.email": ["email", "Email Address", "e_mail", "contactEmail", "mail", "x17"],
    "contact.phone": ["phone", "mobile_number", "cellNo", "tel", "selfoon", "x18"],
    "identity.government": ["id_number", "rsaId", "national_id", "x19"],
    "financial.account": ["iban", "bank_account", "kontonummer", "x20"],
    "financial.card": ["card_number", "creditCard", "cc_number", "x21"],
    "device.ip": ["ip", "client_ip", "remote_addr", "x22"],
    "identity.birth": ["dob", "date_of_birth", "geboortedatum", "birthday"],
    "identity.name": ["first_name", "lastName", "surname", "voornaam", "vorname"],
    "contact.post": ["street_address", "postcode", "plz", "suburb", "billing_address"],
    "identity.official": ["customer_id", "user_id", "email_hash"],
    "special.health": ["allergies", "diagnosis"],
}
HARD = {
    "contact.email": ["login", "supplier_email", "notify_to", "kontakt", "EPOSADRES"],
    "contact.phone": ["phone1", "telefoonnr", "hp", "nr_mobiel", "emergency_contact"],
    "identity.birth": ["geb_dat", "bday", "born_on"],
    "identity.name": ["achternaam", "fname", "lname", "display_name", "attention_of"],
    "contact.post": ["addr1", "adres_lyn_1", "strasse_nr", "zipcode5", "dorp"],
    "identity.official": ["cust_no", "klantnr", "uid"],
    "identity.government": ["idnr", "tin"],
}
"""Labelled columns whose names the data file was not written for."""
ALIKE = ["firmware", "gtin14", "imei_batch", "store_phone", "brand_name", "city_code", "branch_address",
    "birth_batch", "mail_class", "cell_voltage", "ip_rating", "first_name_day", "pin_layout"]  # fmt: skip
"""Plain columns that look like people's."""
PLAIN = [
    "sku", "order_number", "total", "status", "created_at", "email_count", "email_sent_at", "qty",
    "product_name", "weight_g", "ean", "barcode", "version", "price_minor", "order_date", "colour",
    "phone_verified", "mail_status", "warehouse", "serial_no", "tracking_code", "score", "url_path",
    "stock_level", "discount_code",
]  # fmt: skip


def checked(digits):
    return next(digits + str(n) for n in range(10) if luhn(digits + str(n)))


def iban(rng):
    body = "".join(rng.choice("0123456789") for _ in range(18))
    check = 98 - int(body + "131400") % 97  # DE00
    return f"DE{check:02}{body}"


def value(kind, name, rng):  # noqa: PLR0911 - a line a kind
    def n(low, high):
        return rng.randint(low, high)

    match kind:
        case "contact.email":
            return f"{rng.choice(['jo', 'a.b', 'x+y'])}{n(1, 9999)}@{rng.choice(['post', 'mail'])}.example"
        case "contact.phone":
            return rng.choice(
                [
                    f"+27 82 555 {n(1000, 9999)}",
                    f"082555{n(1000, 9999)}",
                    f"+1 202 555 01{n(10, 99)}",
                ]
            )
        case "identity.government":
            return checked(f"{n(50, 99):02}{n(1, 12):02}{n(1, 28):02}{n(1000, 9999)}08")
        case "financial.account":
            return iban(rng)
        case "financial.card":
            return checked(f"4{n(10**14, 10**15 - 1)}"[:15])
        case "device.ip":
            return rng.choice([f"192.0.2.{n(1, 254)}", f"2001:db8::{n(1, 9999):x}"])
        case "identity.birth":
            return rng.choice(
                [
                    f"{n(1940, 2005)}-{n(1, 12):02}-{n(1, 28):02}",
                    f"{n(1, 28):02}/{n(1, 12):02}/{n(1940, 2005)}",
                ]
            )
        case "identity.name":
            return rng.choice(["Invented", "Made-Up", "O'Nobody", "Thandeka", "Sipho"])
        case "contact.post":
            return (
                str(n(1000, 9999))
                if "post" in name or "plz" in name
                else f"{n(1, 99)} Quiet Street"
            )
        case "identity.official":
            return f"{n(10**15, 10**16 - 1):x}"
        case "special.health":
            return rng.choice(["nuts", "none", "pollen"])
    return plain(name, rng)


def plain(name, rng):  # noqa: PLR0911 - a line a kind
    n = rng.randint
    if "at" in name.split("_") or "date" in name:
        return f"202{n(0, 6)}-{n(1, 12):02}-{n(1, 28):02}T{n(10, 20)}:00:00Z"
    if name in {"ean", "barcode", "serial_no", "order_number", "gtin14", "imei_batch"}:
        return str(n(6_000_000_000_000, 6_009_999_999_999))
    if name in {
        "status",
        "colour",
        "mail_status",
        "warehouse",
        "product_name",
        "brand_name",
        "mail_class",
        "first_name_day",
    }:
        return rng.choice(["open", "green", "Ground coffee", "Cape Town 2", "done"])
    if name == "firmware":
        return f"{n(1, 9)}.{n(0, 20)}.{n(0, 9)}.{n(0, 99)}"
    if name == "store_phone":
        return f"+27 21 555 {n(1000, 9999)}"
    if name == "branch_address":
        return f"{n(1, 99)} Market Street"
    if name == "version":
        return f"{n(1, 9)}.{n(0, 20)}.{n(0, 9)}"
    if name == "url_path":
        return f"/p/{n(1, 9999)}"
    if name in {"tracking_code", "sku", "discount_code"}:
        return f"{rng.choice(['AB', 'ZX'])}{n(10_000, 99_999)}"
    return str(n(0, 99_999))


def columns(seed=7, rows=60, noise=0.1):
    """Yield (label or "", table, column, values): some values are missing or rubbish."""
    rng = random.Random(seed)
    for kind, names in PERSONAL.items():
        for name in names:
            yield kind, "customers", name, list(_values(kind, name, rng, rows, noise))
    for name in PLAIN:
        yield "", "orders", name, list(_values("", name, rng, rows, noise))


def hard(seed=7, rows=60, noise=0.3):
    """Yield columns the words were not written for, a third of their values missing or rubbish."""
    rng = random.Random(seed)
    for kind, names in HARD.items():
        for name in names:
            yield kind, "klante", name, list(_values(kind, name, rng, rows, noise))
    for name in ALIKE:
        yield "", "items", name, list(_values("", name, rng, rows, noise))


def _values(kind, name, rng, rows, noise):
    for _ in range(rows):
        if rng.random() < noise:
            yield rng.choice(["", "n/a", "-"])
        else:
            yield value(kind, name, rng)
