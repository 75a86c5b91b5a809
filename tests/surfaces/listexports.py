"""Invented exports with the headings common tools write, on reserved domains and numbers."""

import csv
import io
import zipfile
from xml.sax.saxutils import escape

MAILCHIMP = (
    "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,"
    "LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS\n"
    "ann@post.example,Ann,Abe,3,2023-05-01 12:33:10,192.0.2.1,2023-05-01 12:34:00,192.0.2.1,,,,,"
    'Africa/Johannesburg,ZA,gp,2024-01-01 08:00:00,1,a1,,"""vip"""\n'
)
MAILCHIMP_UNSUBSCRIBED = (
    "Email Address,First Name,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,CC,LEID,EUID,UNSUB_TIME,"
    "UNSUB_CAMPAIGN_TITLE,UNSUB_REASON\n"
    "bea@post.example,Bea,2023-05-01 12:33:10,192.0.2.1,,,ZA,2,b2,2024-02-03 09:00:00,May,NORMAL\n"
)
MAILCHIMP_CLEANED = (
    "Email Address,OPTIN_TIME,OPTIN_IP,CC,LEID,EUID,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\n"
    "cas@post.example,2023-05-01 12:33:10,192.0.2.1,ZA,3,c3,2024-02-03 09:00:00,May\n"
)
KLAVIYO = (
    "Email,Klaviyo ID,First Name,Country,Email Marketing Consent,Email Marketing Consent Timestamp,"
    "Email Suppressions,Initial Source,Profile Created On\n"
    "ann@post.example,01A,Ann,South Africa,SUBSCRIBED,2023-05-01T12:33:10+00:00,,Form,2023-05-01\n"
    "bea@post.example,01B,Bea,South Africa,UNSUBSCRIBED,2023-05-01T12:33:10+00:00,,Form,2023-05-01\n"
    "cas@post.example,01C,Cas,South Africa,NEVER_SUBSCRIBED,,,Shop,2023-05-01\n"
    'dee@post.example,01D,Dee,South Africa,SUBSCRIBED,2023-05-01T12:33:10+00:00,"[""HARD_BOUNCE""]",Form,2023\n'
    "eve@post.example,01E,Eve,South Africa,SUBSCRIBED,2023-05-01T12:33:10+00:00,SPAM_COMPLAINT,Form,2023\n"
)
HUBSPOT = (
    "Record ID,First Name,Email,Country/Region,Lifecycle Stage,Marketing contact status,Create Date,"
    "Unsubscribed from all email,Opted out of email: Newsletter,Email hard bounce reason,"
    "Invalid email address\n"
    "1,Ann,ann@post.example,South Africa,Customer,Marketing contact,2023-05-01 10:00,false,false,,false\n"
    "2,Bea,bea@post.example,South Africa,Lead,Marketing contact,2023-05-01 10:00,false,true,,false\n"
    "3,Cas,cas@post.example,South Africa,Lead,Non-marketing contact,2023-05-01 10:00,,,UNKNOWN_USER,\n"
    "4,Dee,dee@post.example,South Africa,Lead,Marketing contact,2023-05-01 10:00,true,,,\n"
)
BREVO = (
    "CONTACT ID;EMAIL;FIRSTNAME;LASTNAME;SMS;DOUBLE_OPT-IN;OPT_IN;EMAIL_BLOCKLISTED;ADDED_TIME;MODIFIED_TIME\n"
    "1;ann@post.example;Ann;Abe;;Yes;;false;01-05-2023 10:00:00;25-05-2023 10:00:00\n"
    "2;bea@post.example;Bea;Abe;;;;true;01-05-2023 10:00:00;25-05-2023 10:00:00\n"
)
MAUTIC = (
    "id,firstname,lastname,email,country,date_identified,date_added,last_active,points,dnc\n"
    "1,Ann,Abe,ann@post.example,South Africa,2023-05-01 10:00:00,2023-05-01 10:00:00,,0,0\n"
    "2,Bea,Abe,bea@post.example,South Africa,2023-05-01 10:00:00,2023-05-01 10:00:00,,0,1\n"
    "3,Cas,Abe,cas@post.example,South Africa,2023-05-01 10:00:00,2023-05-01 10:00:00,,0,2\n"
    "4,Dee,Abe,dee@post.example,South Africa,2023-05-01 10:00:00,2023-05-01 10:00:00,,0,3\n"
)
LISTMONK = (
    "uuid,email,name,attributes,status,created_at,updated_at\n"
    '5d0a,ann@post.example,Ann Abe,"{""city"": ""x""}",enabled,2023-05-01T10:00:00Z,2023-05-01T10:00:00Z\n'
    "5d0b,bea@post.example,Bea Abe,{},blocklisted,2023-05-01T10:00:00Z,2023-05-01T10:00:00Z\n"
    "5d0c,cas@post.example,Cas Abe,{},disabled,2023-05-01T10:00:00Z,2023-05-01T10:00:00Z\n"
)
MAILERLITE = (
    "Subscriber,Status,Signup date,Signup IP,Confirmation date,Confirmation IP,Country,Opens rate\n"
    "ann@post.example,Active,2023-05-01 10:00:00,192.0.2.7,,,ZA,3\n"
    "bea@post.example,Unsubscribed,2023-05-01 10:00:00,192.0.2.7,,,ZA,3\n"
    "cas@post.example,Junk,2023-05-01 10:00:00,192.0.2.7,,,ZA,3\n"
    "dee@post.example,Unconfirmed,2023-05-01 10:00:00,192.0.2.7,,,ZA,3\n"
    "eve@post.example,Bounced,2023-05-01 10:00:00,192.0.2.7,,,ZA,3\n"
)
ACTIVECAMPAIGN = (
    "Contact ID,Email,First Name,Last Name,Customer Account,Status,Date Subscribed,Date Unsubscribed,"
    "Unsubscribe Reason,IP Address\n"
    "1,ann@post.example,Ann,Abe,,Active,05/25/2023,,,192.0.2.8\n"
    "2,bea@post.example,Bea,Abe,,Unsubscribed,05/25/2023,06/30/2023,,192.0.2.8\n"
    "3,cas@post.example,Cas,Abe,,Unconfirmed,05/25/2023,,,192.0.2.8\n"
)
SHOPIFY = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,"
    "Default Address Province Code,Default Address Country Code,Phone,Accepts SMS Marketing,Total Spent,"
    "Total Orders,Note,Tax Exempt,Tags\n"
    "'1001,Ann,Abe,ann@post.example,yes,,GP,ZA,,no,120.50,2,,no,\n"
    "'1002,Bea,Abe,bea@post.example,no,,GP,ZA,,no,80.00,1,,no,\n"
    "'1003,Cas,Abe,cas@post.example,yes,,CA,US,,no,0.00,0,,no,\n"
)
TOOLS = {
    "mailchimp": MAILCHIMP,
    "klaviyo": KLAVIYO,
    "hubspot": HUBSPOT,
    "brevo": BREVO,
    "mautic": MAUTIC,
    "listmonk": LISTMONK,
    "mailerlite": MAILERLITE,
    "activecampaign": ACTIVECAMPAIGN,
    "shopify": SHOPIFY,
}

WHOLE_HEAD = (
    "email,name,country,status,consent date,consent method,proof,notice version,last order date,"
    "collected at sale,opt out offered,birth year\n"
)
AGREED = "2025-03-01T09:00:00+02:00,checkbox,form:{n},news-3"


def whole(n, *, country="ZA", status="", agreed=True, sale="", taken="", offered="", born=""):
    """One row of a list that carries everything the check can use."""
    yes = AGREED.format(n=n) if agreed else ",,,"
    return f"p{n}@post.example,P{n},{country},{status},{yes},{sale},{taken},{offered},{born}\n"


def workbook(rows, formulas=(), date1904=False):
    """Make a small .xlsx of texts and numbers, as bytes."""
    cells = []
    for r, row in enumerate(rows, 1):
        made = []
        for c, value in enumerate(row):
            place = f"{chr(65 + c)}{r}"
            if isinstance(value, (int, float)):
                formula = "<f>1+1</f>" if place in formulas else ""
                made.append(f'<c r="{place}">{formula}<v>{value}</v></c>')
            elif value:
                made.append(f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        cells.append(f'<row r="{r}">{"".join(made)}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{rel}">'
            f'<workbookPr date1904="{int(date1904)}"/>'
            '<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r1" Type="x" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        book.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{main}"><sheetData>{"".join(cells)}</sheetData></worksheet>',
        )
    return out.getvalue()


def read_csv(text):
    """Return a CSV's rows as dicts."""
    return list(csv.DictReader(io.StringIO(text)))
