"""Which cookies are set, and what for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
from troth.notice.terms import term


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """One cookie."""

    name: str = term("Its name", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    use: str = term("What it is for")
    lasts: str = term("How long it lasts, in words")
    is_necessary: bool = term("The service does not work without it", default=False)


@clause("cookie", "Which cookies are set. No other cookie is.")
class Cookies(Clause):
    """The register of cookies. Only strictly necessary ones until choices are kept."""

    cookies: tuple[Cookie, ...] = term("The cookies; an empty list means none", default=())

    def enforcer(self) -> str:
        """Pages set no cookie that is not listed."""
        return "doors.web"

    def evidence(self) -> Evidence:
        """What a browser is given."""
        return Evidence((), "a visit to every page is given no cookie that is not listed")

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Each cookie."""
        for cookie in self.cookies:
            yield Row(cookie.name, f"{cookie.use}; lasts {cookie.lasts}")
        if not self.cookies:
            yield Row("Cookies", "none")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Optional cookies need the choices that a later version brings."""
        for cookie in self.cookies:
            if not cookie.is_necessary:
                yield Fault(f"the cookie {cookie.name!r} needs a choice that nobody can make yet", "leave it out")
