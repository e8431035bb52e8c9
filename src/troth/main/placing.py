"""Where a node stands, against where the notices say that data is kept: said at the start, not at every arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troth.notice import COUNTRIES, Notice, Problem


def misplaced(notices: Iterable[Notice], region: str) -> Iterator[Problem]:
    """What is wrong with the place of a node: it would start, and then refuse everything that is sent to it.

    A notice that lets nobody bring in a scan has nothing to refuse.

    Args:
        notices: Of the deployment.
        region: ISO 3166 code of where this node stores; `region` of the settings.
    """
    found = list(notices)
    if region not in COUNTRIES:
        path = found[0].path if found else ""
        what = f"this node says that it stands in {region!r}, which is no ISO 3166 code of a country"
        yield Problem(path, 1, what, "set TROTH_REGION, or region in troth.toml, to a code such as GB")
        return
    for notice in found:
        kept = notice.all("residency")
        takes_in = any(
            "store" in access.does for each in notice.all("purpose") for access in getattr(each, "access", ())
        )
        if kept and takes_in and region not in notice.regions:
            what = f"§ {kept[0].id} keeps data in {', '.join(notice.regions)}, and this node says it stands in {region}"
            hint = (
                f"set TROTH_REGION, or region in troth.toml, to {' or '.join(notice.regions)} if it stands there; "
                f"else publish a version that adds {region}: the node would refuse every scan"
            )
            yield Problem(notice.path, kept[0].line, what, hint)
