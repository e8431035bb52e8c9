"""Whether each promise is kept, broken, unproven or not possible here, computed over all that happened."""

from troth.proofs.breaches import LONGEST_ANSWER, Breach, Breaches
from troth.proofs.errors import (
    AnswerIncomplete,
    BreachLasts,
    BreachNotFound,
    BreachOver,
    SecondAnswerNeeded,
    WordsChanged,
)
from troth.proofs.model import Checked, Departures, Example, Finding, Proven, Report, Standing, Verdict
from troth.proofs.node import NodeFigures, node_figures
from troth.proofs.paper import as_pdf, is_signed, signature_of
from troth.proofs.result import Result
from troth.proofs.runs import Runs, Seen
from troth.proofs.safeguards import Held, Site, answer_for_raw
from troth.proofs.service import Proofs, within

__all__ = [
    "LONGEST_ANSWER",
    "AnswerIncomplete",
    "Breach",
    "BreachLasts",
    "BreachNotFound",
    "BreachOver",
    "Breaches",
    "Checked",
    "Departures",
    "Example",
    "Finding",
    "Held",
    "NodeFigures",
    "Proofs",
    "Proven",
    "Report",
    "Result",
    "Runs",
    "SecondAnswerNeeded",
    "Seen",
    "Site",
    "Standing",
    "Verdict",
    "WordsChanged",
    "answer_for_raw",
    "as_pdf",
    "is_signed",
    "node_figures",
    "signature_of",
    "within",
]
