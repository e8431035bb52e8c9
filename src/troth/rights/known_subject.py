"""How we know what is held about a patient: the source of each thing in a copy, and what was concluded."""

from __future__ import annotations

from troth.archive import StudySummary
from troth.people import Acceptance, Choice
from troth.rights import looked
from troth.rights.accounts import accepted_words
from troth.rights.decide import title_of
from troth.rights.held import Held
from troth.rights.known import Known, Source, brought, clause_of, way
from troth.rights.known_factors import factor_known
from troth.rights.model import RightsRequest

_US = "our own programs"


def source_of_study(held: Held, study: StudySummary) -> Source:
    """Who brought a study in, and how: the first who did."""
    events = [event for event in held.access.events if event.kind == looked.STORED and event.study_id == study.id]
    if not events:
        clause = _clause(held, "controller", "images")
        return Source("controller", held.organisation, "a way that is not recorded", clause, study.stored_at)
    first = min(events, key=lambda event: event.at)
    origin, who, how = brought(first)
    clause = _clause(held, origin, "images") or _clause(held, "controller", "images")
    return Source(origin, who, how, clause, first.at)


def source_of_subject(held: Held) -> Source:
    """Who said who the patient is: whoever brought their first study."""
    events = [event for event in held.access.events if event.kind == looked.STORED]
    clause = _clause(held, "controller", "demographics")
    if not events:
        return Source("controller", held.organisation, "a study that is not held any more", clause)
    first = min(events, key=lambda event: event.at)
    _, who, how = brought(first)
    return Source("controller", who, f"what stood in the images: {how}", clause, first.at)


def source_of_account(held: Held) -> Source:
    """The address of an account was typed by the person, after the organisation had sent the invitation there."""
    return Source("subject", "you", "the form of the invitation", _clause(held, "subject", "account"))


def source_of_request(held: Held, request: RightsRequest) -> Source:
    """Who asked."""
    clause = _clause(held, "subject", "requests")
    return Source("subject", "you", "a form on our pages, or our staff for you", clause, request.opened_at)


def source_of_choice(held: Held, choice: Choice) -> Source:
    """Who chose, and how."""
    events = choice.record.get("events") or [{}]
    clause = _clause(held, "subject", "choices")
    return Source("subject", "you", way(str(events[-1].get("how", "page"))), clause, choice.made_at)


def source_of_accepted(held: Held, each: Acceptance) -> Source:
    """Who accepted, and where."""
    return Source("subject", "you", way(each.door), _clause(held, "subject", "account"), each.accepted_at)


def source_of_access(held: Held) -> Source:
    """Who wrote the access list."""
    return Source("device", _US, "the ledger of this service", _clause(held, "device", "ledger"))


def known_of_subject(held: Held) -> list[Known]:
    """Everything in a copy, item by item."""
    return [*_provided(held), *_observed(held), *_inferred(held)]


def _provided(held: Held) -> list[Known]:
    who, source = held.subject.demographics, source_of_subject(held)
    told = [
        ("Name", held.subject.name),
        ("Patient number", held.subject.patient.patient_id),
        ("Birth date", who.birth_date.isoformat() if who.birth_date else ""),
        ("Sex", who.sex),
    ]
    found = [Known(what, value, "provided", source) for what, value in told if value]
    found += [
        Known("Scan", title_of(each.study), "provided", source_of_study(held, each.study)) for each in held.studies
    ]
    found += [
        Known("E-mail of your account", each.email, "provided", source_of_account(held)) for each in held.accounts
    ]
    found += [
        factor_known(factor, source_of_account(held).clause, held.reader)
        for each in held.accounts
        for factor in held.factors.get(each.id, ())
    ]
    found += [
        Known("Times shown in", each.zone, "provided", source_of_account(held)) for each in held.accounts if each.zone
    ]
    found += [
        Known(f"Request {each.reference}", each.right.value, "provided", source_of_request(held, each))
        for each in held.requests
    ]
    found += [
        Known(
            f"Choice {each.reference}: {each.wording or each.key}", each.state, "provided", source_of_choice(held, each)
        )
        for each in held.choices
    ]
    found += [
        Known("Accepted", accepted_words(each), "provided", source_of_accepted(held, each)) for each in held.accepted
    ]
    return found


def _observed(held: Held) -> list[Known]:
    source = source_of_access(held)
    entries = held.access.events
    started = [event for event in entries if event.kind == "people:session:started"]
    found = [Known("Who looked, and what else was done", f"{len(entries)} entries, in ACCESS.JSON", "observed", source)]
    if started:
        last = max(event.at for event in started)
        said = f"{'once' if len(started) == 1 else f'{len(started)} times'}, last on {held.reader.moment(last)}"
        browser = Source("device", "your browser", "the session that it began", source.clause, last)
        found.append(Known("Your sign-ins", said, "observed", browser))
    return found


def _inferred(held: Held) -> list[Known]:
    """What the platform concluded: whose scan it is, whose account, how long it stays, what a program proposes."""
    clause = _clause(held, "device", "ledger")
    found = []
    for each in held.studies:
        same = "the images carry your patient number and its issuer"
        source = Source("device", _US, "comparing the numbers in the images", clause, each.study.stored_at)
        found.append(Known(f"{title_of(each.study)}: that it is of you", "yes", "inferred", source, same))
        day = held.kept_until(each.study).isoformat()
        because = f"the date of the scan and your birth date, by \u00a7 {held.version.notice.retention().clause_id}"
        source = Source("device", _US, "computing the end of its time", clause, held.made_at)
        found.append(Known(f"{title_of(each.study)}: kept until", day, "inferred", source, because))
    for account in held.accounts:
        because = "the link, the name, the birth date and the code that were typed agreed with what is held"
        source = Source("device", _US, "matching what was typed", clause, account.matched_at)
        found.append(Known("That the account is yours", account.email, "inferred", source, because))
    for proposal in held.proposals:
        source = Source("device", _US, "a program that looks through accounts", clause, proposal.made_at)
        what = f"Proposed: {proposal.what.replace('_', ' ')}"
        found.append(Known(what, proposal.state, "inferred", source, proposal.ground))
    return found


def _clause(held: Held, origin: str, holding: str) -> str:
    return clause_of([held.version.notice], origin, "patients", holding)
