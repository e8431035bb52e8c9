"""How data is protected, measure by measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Lookup, Policy, Row, clause
from troth.notice.terms import term


@dataclass(frozen=True, slots=True)
class Measure:
    """A technical or organisational measure and what keeps it up."""

    enforcer: str
    stops: str
    looks_for: str


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "sealed_at_rest": Measure(
            "vault.keyring",
            "nothing is written to disk before it is sealed",
            "no byte of a name or of an image can be read from the disk",
        ),
        "sealed_in_transit": Measure(
            "main.settings",
            "a listener that others can reach does not start without encryption",
            "every listener that is reachable from outside speaks TLS",
        ),
        "tamper_evident": Measure(
            "ledger.sequencer",
            "each entry is bound to all before it, under a signature",
            "the tree adds up and every signed head agrees with it",
        ),
        "no_open_door": Measure(
            "policy.decision",
            "what no clause allows is refused; there are no passwords to guess or forget",
            "nothing was opened by somebody who had not signed in",
        ),
        "live_session": Measure(
            "policy.decision",
            "every step asks again whether the sign-in still stands",
            "nothing was opened in a session after it had ended",
        ),
        "identity_check": Measure(
            "people.invitations",
            "a wrong detail or code tells nothing, and too many tries are stopped",
            "nobody received anything before the check was passed",
        ),
        "stays_erased": Measure(
            "archive.intake",
            "a sealed mark of what was erased is looked up at every way in",
            "nothing that was erased is held again",
        ),
    }
)


@clause("safeguard", "A measure that protects data, bound to the part of the program that keeps it up.")
class Safeguard(Clause):
    """A technical or organisational measure (GDPR Art. 32)."""

    measure: str = term("Which measure", choices=MEASURES)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """A session that has ended opens nothing."""
        if self.measure == "live_session":
            text = (
                f"@id({cedar.text(self.id)})\n"
                "forbid (principal, action, resource)\n"
                'when { principal.kind != "anonymous" && principal.kind != "system" && !context.session_alive };'
            )
            yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """As the measure says."""
        return MEASURES[self.measure].enforcer

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return MEASURES[self.measure].looks_for

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", MEASURES[self.measure].stops)
