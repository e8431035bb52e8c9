"""Whom we write to without being asked, how, and how it stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

_CANNOT_STOP = {"link": "no message carries a link that stops it", "reply": "no answer to a message is read"}


@clause("marketing", "Messages that nobody asked for: on which channels, with whose yes, and how they stop.")
class Marketing(Clause):
    """Direct marketing (GDPR Art. 21(2); ePrivacy Directive 2002/58/EC Art. 13)."""

    purposes: tuple[str, ...] = term("Keys of the activities whose messages these are", pattern=SLUG, least=1)
    channels: tuple[str, ...] = term("Channels it uses", choices=vocabulary.CHANNELS, least=1)
    consent: str = term("Key of the consent that it needs; empty where an objection is enough", default="")
    soft_opt_in: bool = term(
        "Customers may hear of what is like what they bought, without consent, until they object", default=False
    )
    stops_by: tuple[Literal["link", "page", "reply", "mail", "post", "telephone"], ...] = term(
        "How a person makes it stop", least=1
    )
    headers: tuple[Literal["List-Unsubscribe", "List-Unsubscribe-Post"], ...] = term(
        "Headers of every such e-mail (RFC 2369, RFC 8058)", default=()
    )

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """No message on a channel that the person stopped, and where it needs a consent, none without.

        An objection ends the activity whatever its basis, a consent included (GDPR Art. 21(2) and (3)). Where several
        clauses name an activity, each about some channels, what holds for all of them is said once, by the first.
        """
        head = (
            f"@id({cedar.text(self.id)})\n"
            'forbid (principal, action == Action::"send_message", resource)\n'
            f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) && "
        )
        for channel in self.channels:
            on = f"context.claims.contains({cedar.text(f'channel:{channel}')})"
            stopped = f"context.claims.contains({cedar.text(f'stopped:{channel}')})"
            yield Policy(self.id, f"{head}{on} && {stopped} }};", "forbid")
            if self.consent:
                enough = [f"consent:{self.consent}", f"consent:{self.consent}:{channel}"]
                if self.soft_opt_in:
                    enough.append("customer")
                yes = f"context.claims.containsAny({cedar.texts(enough)})"
                yield Policy(self.id, f"{head}{on} }}\nunless {{ {yes} }};", "forbid")
        for channels, keys in self._leads(notice).items():
            known = cedar.texts(f"channel:{channel}" for channel in channels)
            text = (
                f"@id({cedar.text(self.id)})\n"
                'forbid (principal, action == Action::"send_message", resource)\n'
                f"when {{ {cedar.texts(keys)}.contains(context.purpose) }}\n"
                f"unless {{ context.claims.containsAny({known}) }};"
            )
            yield Policy(self.id, text, "forbid")
            for key in keys:
                objected = cedar.text(f"objection:{key}")
                text = (
                    f"@id({cedar.text(self.id)})\n"
                    "forbid (principal, action, resource)\n"
                    f"when {{ context.purpose == {cedar.text(key)} && context.claims.contains({objected}) }};"
                )
                yield Policy(self.id, text, "forbid")

    def _leads(self, notice: Lookup) -> dict[tuple[str, ...], list[str]]:
        """The activities that this clause is the first to name, by the channels that all of them together have."""
        found: dict[tuple[str, ...], list[str]] = {}
        for key in self.purposes:
            naming = [each for each in notice.all("marketing") if key in getattr(each, "purposes", ())]
            if naming[0].id == self.id:
                channels = dict.fromkeys(name for each in naming for name in getattr(each, "channels", ()))
                found.setdefault(tuple(channels), []).append(key)
        return found

    def enforcer(self) -> str:
        """The decision about every message."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "no message went to somebody who had stopped it, or without the yes that it needs"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Channels, and how it stops."""
        yield Row("How", ", ".join(vocabulary.CHANNELS[channel] for channel in self.channels))
        yield Row("How it stops", ", ".join(self.stops_by))
        yield Row("What stops us", "each message is decided when it is sent; after you stopped it, it is refused")
        yield Row("Your objection", "ends it at once and for good, whatever it rests on, a yes of yours included")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Once something is sent: each channel that it names, and each way to stop it."""
        if not any(getattr(notice.find("purpose", key), "access", ()) for key in self.purposes):
            return
        for channel in self.channels:
            yield Need("send", channel, channel, f"nothing is sent by {vocabulary.CHANNELS[channel]}")
        if self.soft_opt_in:
            yield Need("claim", "customer", "customer", "nobody is known to have bought something")
        for way in self.stops_by:
            yield Need("stop", way, way, _CANNOT_STOP.get(way, f"it cannot be stopped by {way}"))

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities and its consent exist; e-mail can be stopped by one click."""
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
        if self.consent and notice.find("consent", self.consent) is None:
            yield Fault(f"the consent {self.consent!r} is not in this notice", "add a consent clause")
        if self.soft_opt_in and not self.consent:
            yield Fault("a soft opt-in is an exception from a consent, and none is named", "add consent: or remove it")
        if "email" in self.channels and "link" in self.stops_by and not self.headers:
            yield Fault("e-mail stops by a link and carries no headers for it", "add headers: [List-Unsubscribe]")
