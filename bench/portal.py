"""Reads of the customer's pages beside a running campaign, over a real socket.

    python bench/portal.py [people] [seconds]

As bench/console.py, with one member of the cast come in through the demo's door: 42 to 1,600
entries of activity, some hundred events, every page of the customer's side in turn.
"""

import http.client
import sys

import console

PAGES = (
    *("/my", "/my/level", "/my/level/3/letter", "/my/preferences", "/my/activity", "/my/uses"),
    *("/my/correct", "/my/download", "/my/delete", "/my/receipts", "/my/requests", "/my/records"),
    *("/my/enter", "/notices", "/verify", "/forms"),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def come_in(port):
    """Go through the customer's door of a demo and keep the session."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/my/door", body="who=cast-adult", headers=FORM)
    answer = connection.getresponse()
    answer.read()
    if cookie := answer.getheader("set-cookie"):
        console.HEADERS["Cookie"] = cookie.partition(";")[0]


if __name__ == "__main__":
    sys.exit(console.main(PAGES, come_in))
