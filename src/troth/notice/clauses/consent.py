"""What happens only after a person said yes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period
from troth.notice.terms import SLUG, term


@clause("consent", "What happens only after a person said yes, and stops when they say no.")
class Consent(Clause):
    """A consent (GDPR Art. 6(1)(a) and 7). The record of it comes with the room that keeps choices."""

    key: str = term("Short name of the consent; the fact `consent:<key>` says that it was given", pattern=SLUG)
    purposes: tuple[str, ...] = term("Purposes that need it", pattern=SLUG, least=1)
    wording_shown: str = term("The question as the person is asked it; kept with the answer", default="")
    channels: tuple[str, ...] = term(
        "Asked apart for each; the fact is then `consent:<key>:<channel>`", choices=vocabulary.CHANNELS, default=()
    )
    withdrawal: tuple[Literal["page", "link", "reply", "mail", "post", "telephone"], ...] = term(
        "How it is taken back, as easily as it was given", default=("page",)
    )
    expires: Period | None = term("How long a yes counts; left out, until it is taken back", default=None)
    asked_of: Literal["everybody", "elsewhere"] = term(
        "Who is asked: everybody, on the page for choices; or who sends a form from another country than data is kept "
        "in, by the form itself, which takes nothing in without the yes",
        default="everybody",
    )

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Without the consent, nothing for these purposes."""
        fact = f"consent:{self.key}"
        head = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) && "
        )
        for channel in self.channels:
            on, yes = cedar.text(f"channel:{channel}"), cedar.text(f"{fact}:{channel}")
            text = f"{head}context.claims.contains({on}) && !context.claims.contains({yes}) }};"
            yield Policy(self.id, text, "forbid")
        if self.channels:
            known = cedar.texts(f"channel:{channel}" for channel in self.channels)
            yield Policy(self.id, f"{head}!context.claims.containsAny({known}) }};", "forbid")
        else:
            yield Policy(self.id, f"{head}!context.claims.contains({cedar.text(fact)}) }};", "forbid")

    def enforcer(self) -> str:
        """The decision itself."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing was done for these purposes about somebody whose yes was not in force"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.wording_shown:
            yield Row("What you are asked", self.wording_shown)
        if self.channels:
            yield Row("Asked apart for", ", ".join(vocabulary.CHANNELS[channel] for channel in self.channels))
        if self.asked_of == "elsewhere":
            yield Row("Who is asked", "whoever sends a form from another country, before it is taken in")
        if self.expires is not None:
            yield Row("It counts", f"for {self.expires.words}")
        yield Row("How you take it back", ", ".join(self.withdrawal))
        yield Row("What stops us", "without your yes it is refused; taking it back counts from the next moment")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """A form that asks who is elsewhere says what it asks, and is one for all channels."""
        if self.asked_of == "elsewhere" and not self.wording_shown:
            yield Fault("a form asks for it, and no words are there to ask", "add wording_shown")
        if self.asked_of == "elsewhere" and self.channels:
            yield Fault("a form asks for it once, and it has channels", "remove channels or asked_of")
        if self.asked_of == "elsewhere" and not notice.regions:
            yield Fault("nobody can be elsewhere where no place is named", "add a residency clause")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Once something is done for it: that it is asked, and each way to take it back."""
        if not any(getattr(notice.find("purpose", key), "access", ()) for key in self.purposes):
            return
        if self.asked_of == "elsewhere":
            yield Need("ask", "elsewhere:account", "ask", "an account is opened from anywhere without being asked")
            yield Need("ask", "elsewhere:copy", "ask", "a copy is ordered from anywhere without being asked")
        else:
            yield Need("ask", "consent", "ask", "nobody is asked here")
        for way in self.withdrawal:
            yield Need("withdraw", way, way, f"it cannot be taken back by {way}")
