"""Where data is kept."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.terms import term


@clause("residency", "In which countries data is kept. Elsewhere nothing is taken in.", reach="notice")
class Residency(Clause):
    """The place of storage (dpv:StorageLocation)."""

    regions: tuple[str, ...] = term("ISO 3166 codes", choices=sorted(vocabulary.COUNTRIES), least=1)
    leaves: bool = term("Whether any of it goes to another country", default=False)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """A node that says it stands elsewhere stores nothing."""
        text = (
            f"@id({cedar.text(self.id)})\n"
            'forbid (principal, action == Action::"store", resource)\n'
            f'when {{ context.region != "" && !({cedar.texts(self.regions)}.contains(context.region)) }};'
        )
        yield Policy(self.id, text, "forbid")
        if self != notice.all("residency")[0]:
            return
        known = set(notice.regions)
        for found in notice.all("transfer"):
            known.update(getattr(found, "destinations", ()))
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"forbid (principal, action in {cedar.actions(vocabulary.LEAVING)}, resource)\n"
            f"unless {{ context.claims.containsAny({cedar.texts(f'to:{region}' for region in known)}) }};"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision about every arrival."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "everything was taken in by machines that stand in these countries, and nothing left for others"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "a machine of ours in another country refuses to take anything in")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Activities happen where data is kept."""
        for found in notice.all("purpose"):
            for region in getattr(found, "regions", ()):
                if region in notice.regions:
                    continue
                if not self.leaves:
                    yield Fault(
                        f"§ {found.id} happens in {region}, where nothing is kept", "add the region or remove it there"
                    )
                elif not any(region in getattr(way, "destinations", ()) for way in notice.all("transfer")):
                    yield Fault(
                        f"§ {found.id} happens in {region}, and no transfer leads there",
                        "add a transfer clause with its instrument",
                    )
