"""Law 5: what leaves the house stays ours to answer for.

What leaves now is mail. The stories plant values nobody agreed to and look for them everywhere.
Later work adds partners, agencies and exports, each with the same search.
"""

import dataclasses
import logging
import re
from email import message_from_bytes, policy

import pytest
from marula import ITEMS, MARKETER, NOW, OFFICER, House, days_ago

from troth import app
from troth.capabilities import outreach, preferences
from troth.engines import mail
from troth.engines.ranking import Alike
from troth.errors import Fault, InvalidInput, TrothError
from troth.kernel import gate
from troth.terms import Actor, Block, Channel, Role, instant
