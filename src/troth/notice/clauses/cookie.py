"""Which cookies are set, and what for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice.clauses.base import Clause, Fault, Lookup, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import term


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """One cookie."""

    name: str = term("Its name", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    use: str = term("What it is for")
    lasts: str = term("How long it lasts, in words")
    is_necessary: bool = term("The service does not work without it", default=False)
    consent: str = term("Key of the consent that it waits for; needed unless it is necessary", default="")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Another body's place on the web from which something is loaded."""

    origin: str = term(
        "The origin, such as https://stats.example", pattern=r"^https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$"
    )
    loads: tuple[Literal["script", "style", "image", "font", "frame", "connect"], ...] = term("What is loaded", least=1)
    use: str = term("What it is for")
    consent: str = term("Key of the consent that it waits for; empty: it is necessary", default="")


@clause("cookie", "Which cookies are set. No other cookie is.")
class Cookies(Clause):
    """The register of cookies. Only strictly necessary ones until choices are kept."""

    cookies: tuple[Cookie, ...] = term("The cookies; an empty list means none", default=())
    origins: tuple[Origin, ...] = term("Other bodies' places from which pages load something", default=())
    signals: tuple[Literal["gpc", "dnt"], ...] = term(
        "Browser signals that are taken as a no: Global Privacy Control, Do Not Track", default=()
    )

    def enforcer(self) -> str:
        """Pages set no cookie that is not listed."""
        return "doors.web.desk"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "no answer of any page ever set a cookie that is not listed"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Each cookie."""
        for cookie in self.cookies:
            yield Row(cookie.name, f"{cookie.use}; lasts {cookie.lasts}")
        for origin in self.origins:
            yield Row(origin.origin, f"{', '.join(origin.loads)}; {origin.use}")
        for signal in self.signals:
            yield Row(signal.upper(), "when your browser says so, that is a no")
        if not self.cookies:
            yield Row("Cookies", "none")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Each signal of a browser is heeded."""
        for signal in self.signals:
            yield Need("signal", signal, signal, f"no page acts on the browser's signal ({signal.upper()})")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """What is not necessary waits for a consent that the notice has."""
        for cookie in self.cookies:
            if cookie.is_necessary == bool(cookie.consent):
                yield Fault(f"the cookie {cookie.name!r} is necessary, or waits for a consent", "add one of the two")
        for key in (*(each.consent for each in self.cookies), *(each.consent for each in self.origins)):
            if key and notice.find("consent", key) is None:
                yield Fault(f"the consent {key!r} is not in this notice", "add a consent clause")
