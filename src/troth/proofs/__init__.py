"""Whether each promise is kept, broken or unproven, with its evidence."""

from troth.proofs.model import Checked, Departures, Proven, Report, Shown, Standing
from troth.proofs.paper import as_pdf, is_signed, signature_of
from troth.proofs.safeguards import Site
from troth.proofs.service import Proofs

__all__ = [
    "Checked",
    "Departures",
    "Proofs",
    "Proven",
    "Report",
    "Shown",
    "Site",
    "Standing",
    "as_pdf",
    "is_signed",
    "signature_of",
]
