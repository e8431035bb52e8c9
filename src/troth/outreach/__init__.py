"""What the platform tells people by itself, once: a change of the notice, and from whom we have what we know."""

from __future__ import annotations

from troth.outreach.amendments import Amendments
from troth.outreach.introductions import Introductions
from troth.outreach.model import Consequences, Told
from troth.outreach.service import Outreach

__all__ = ["Amendments", "Consequences", "Introductions", "Outreach", "Told"]
