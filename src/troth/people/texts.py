"""Words of the mails that invite."""

from __future__ import annotations

SUBJECT_TEXT = """{organisation} invites you to see your images, reports and who looked at them.

Open this link within 7 days. It works once:

{link}

You will be asked for your name, your birth date and the six-digit code that
{organisation} gave you apart from this message. Nobody will ever ask you for
that code by mail or telephone.
"""

USER_TEXT = """{organisation} invites you to work with it on its imaging platform.

Open this link within 7 days. It works once:

{link}
"""
