"""What the platform tells people by itself: a change of the notice, to everybody it is about, once."""

from __future__ import annotations

from troth.outreach.amendments import Amendments
from troth.outreach.model import Consequences, Told
from troth.outreach.service import Outreach

__all__ = ["Amendments", "Consequences", "Outreach", "Told"]
