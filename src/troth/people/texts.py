"""Words of the mails that invite."""

from __future__ import annotations

SUBJECT_TEXT = """{organisation} invites you to see your images, reports and who looked at them.

Open this link within 7 days. It works once:

{link}

You will be asked for your name, your birth date and the six-digit code that
{organisation} gave you apart from this message. Nobody will ever ask you for
that code by mail or telephone.
"""

USER_TEXT = """{organisation} invites you to its imaging platform, as {role}.

Open this link within 7 days. It works once:

{link}

Did you not expect this? Ask {organisation} before you open the link.
"""

ROLES = {
    "clinician": "a clinician",
    "referrer": "a referring doctor",
    "office": "a privacy officer",
    "admin": "an administrator",
}
"""Roles of staff, as a mail says them."""
