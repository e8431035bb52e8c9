"""Whether each promise is kept, broken, unproven or not possible here, computed over all that happened."""

from troth.proofs.model import Checked, Departures, Example, Finding, Proven, Report, Standing, Verdict
from troth.proofs.paper import as_pdf, is_signed, signature_of
from troth.proofs.result import Result
from troth.proofs.runs import Runs
from troth.proofs.safeguards import Held, Site
from troth.proofs.service import Proofs, within

__all__ = [
    "Checked",
    "Departures",
    "Example",
    "Finding",
    "Held",
    "Proofs",
    "Proven",
    "Report",
    "Result",
    "Runs",
    "Site",
    "Standing",
    "Verdict",
    "as_pdf",
    "is_signed",
    "signature_of",
    "within",
]
