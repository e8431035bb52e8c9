"""Who takes part in whose care: what role and organisation alone do not say. The face of this part of the room."""

from __future__ import annotations

from troth.people.assignments.facts import AssignmentFacts
from troth.people.assignments.model import EMERGENCY_LIFETIME, Assignment, Way
from troth.people.assignments.rows_store import AssignmentRows
from troth.people.assignments.service import Assignments

__all__ = ["EMERGENCY_LIFETIME", "Assignment", "AssignmentFacts", "AssignmentRows", "Assignments", "Way"]
