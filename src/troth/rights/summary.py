"""The copy in words: a page that needs nothing but a browser, can be printed, and reads well aloud; and the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

from troth.rights import looked
from troth.rights.decide import title_of
from troth.rights.held import Held
from troth.rights.known import WORDS, Known, apart
from troth.rights.known_subject import known_of_subject
from troth.rights.reader import ReaderClock

MOST_ENTRIES = 500

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1.0625rem/1.6 Georgia, "Times New Roman", serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 2rem; line-height: 1.2; } h2 { font-size: 1.4rem; border-top: 1px solid; padding-top: .5rem; }
table { border-collapse: collapse; width: 100%; font: .9375rem/1.4 Arial, sans-serif; margin: 1rem 0; }
caption { text-align: left; font-weight: bold; padding-bottom: .25rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid; }
dt { font-weight: bold; } dd { margin: 0 0 .5rem; } li { margin-bottom: .5rem; }
.wide { overflow-x: auto; }
@media print { body { max-width: none; font-size: 10.5pt; } h2 { break-after: avoid; } tr, li { break-inside: avoid; } }
"""

_CHECK = """\
<p>You can check this list yourself: open CHECK.HTM of this copy in a browser and choose LEDGER.JSON. It uses no
network, and names any entry that was changed, moved or left out. The program
<code>python3 check_my_list.py LEDGER.JSON</code> does the same and needs nothing but Python. Keep this copy: run the
program on your next one with <code>--known</code> and the LEDGER.JSON of this one, and it shows whether anything was
taken away since. Neither can show that everything that was done was entered.</p>
"""

_README = """\
A COPY OF EVERYTHING THAT IS HELD ABOUT YOU
===========================================

Request {reference}, made on {day} by {organisation}.

INDEX.HTM     Open this first, in any browser: what is held, what for, for how
              long, who received it, who looked, and what you can do.
DICOMDIR      The directory of the images. Any DICOM viewer and any hospital
DICOM/        can open it: choose the file DICOMDIR, or import this folder.
              The images are exactly as they were stored.
HELD.JSON     The same as INDEX.HTM and more, for programs.
ACCESS.JSON   The whole list of who looked, for programs.
LEDGER.JSON   The same list with its proofs, and
CHECK.HTM     the page that checks it: open it in a browser, offline too.
check_my_list.py  the same as a program. It needs Python and nothing
              else: python3 check_my_list.py LEDGER.JSON
MANIFEST.TXT  Fingerprints (SHA-256) of every file: sha256sum -c MANIFEST.TXT
MANIFEST.SIG  The signature of that list, with the way to check it.

This copy is about you alone and holds health data. Whoever has it can read
it: keep it where you keep things that are nobody else's business.
"""


def readme(content: Held) -> bytes:
    """`README.TXT`, plain text with the line ends of every system's editor."""
    text = _README.format(
        reference=content.request.reference, day=content.reader.day(content.made_at), organisation=content.organisation
    )
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def page(content: Held) -> bytes:
    """`INDEX.HTM`."""
    told = content.told()
    reference = escape(content.request.reference)
    made_at = content.reader.moment(content.made_at)
    parts = [
        f"<h1>What {escape(content.organisation)} holds about you</h1>",
        f"<p>This is the answer to your request {reference}. It was made on {made_at} and shows what "
        f"was held then. It goes by the privacy notice “{escape(content.version.name)}”, version "
        f"{content.version.number}; the numbers after § are its clauses.</p>",
        _section("Who you are to us", _you(content)),
        _section("Your scans", _scans(content)),
        _section("Your requests", _requests(content)),
        *(
            _section(WORDS[name], _known(found, is_inferred=name == "inferred"))
            for name, found in apart(known_of_subject(content)).items()
        ),
        _section("What we use it for, and why we may", _sentences(told["15_1_a_purposes"], "Basis", "Health data")),
        _section("What we never do", _sentences(told["15_1_a_never"])),
        _section("What kinds of data we hold", _sentences(told["15_1_b_categories"])),
        _section("Who may receive it", _sentences(told["15_1_c_recipients"])),
        _section("Who really received it", _received(content.reader, told["15_1_c_who_received_it"])),
        _section("How long we keep it", _sentences(told["15_1_d_period"], "Law")),
        _section("Where it comes from", _sentences(told["15_1_g_sources"])),
        _section("Decisions by programs", _automation(told["15_1_h_automated_decisions"])),
        _section("Where it is kept, and how it is protected", _transfers(told["15_2_transfers_and_safeguards"])),
        _section("What you can do", _sentences(told["15_1_e_rights"], "When", "What it costs", "Not against")),
        _section("Whom to write to", _sentences(told["who"], "E-mail", "Telephone", "Post", "Web")),
        _section("Where to complain", _sentences(told["15_1_f_complaint"], "E-mail", "Telephone", "Web")),
        _section("Who looked", _looked(content)),
    ]
    language = escape(content.version.notice.head.language)
    title = f"A copy of what is held · {reference}"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    ).encode("utf-8", "replace")


def _you(content: Held) -> str:
    who = content.subject.demographics
    rows = [
        ("Name", content.subject.name),
        ("Patient number", content.subject.patient.patient_id),
        ("Birth date", _day(who.birth_date) if who.birth_date else "not known"),
        ("Sex", who.sex or "not known"),
    ]
    rows += [("Account", f"{each.email}, linked on {content.reader.day(each.matched_at)}") for each in content.accounts]
    if not content.accounts:
        rows.append(("Account", "none"))
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>\n"


def _scans(content: Held) -> str:
    if not content.studies:
        return "<p>No scan of you is held.</p>\n"
    clause = content.version.notice.retention().clause_id
    rows = [
        (
            title_of(copied.study),
            f"{copied.study.instance_count}",
            "; ".join(
                f"{_name(each['who'])}, {content.reader.day(datetime.fromisoformat(each['first']))}"
                for each in content.came_from(copied.study)
            ),
            f"{_day(content.kept_until(copied.study))} (§ {clause})",
            copied.folder,
        )
        for copied in content.studies
    ]
    return _table("Scans in this copy", ("Scan", "Images", "Brought by", "Kept until", "Folder"), rows)


def _known(found: Sequence[Known], *, is_inferred: bool) -> str:
    """Things that we know in the same way, each with its source."""
    if not found:
        return "<p>Nothing.</p>\n"
    head = "Concluded, because" if is_inferred else "Where it comes from"
    rows = [
        (
            each.what,
            each.value,
            (each.because if is_inferred else each.source.words)
            + (f" (\u00a7 {each.source.clause})" if each.source.clause and not is_inferred else ""),
        )
        for each in found
    ]
    return _table("Item by item", ("What", "It says", head), rows)


def _requests(content: Held) -> str:
    rows = [
        (
            each.reference,
            each.right.value,
            content.reader.day(each.opened_at),
            content.reader.due_day(each.due_at),
            content.reader.day(each.closed_at) if each.closed_at else "under way",
        )
        for each in content.requests
    ]
    return _table("What you asked of us", ("Request", "For", "Asked on", "Due by", "Answered on"), rows)


def _received(reader: ReaderClock, received: Sequence[dict[str, Any]]) -> str:
    if not received:
        return "<p>Nobody so far.</p>\n"
    rows = [
        (
            _name(each["who"]),
            f"{each['times']}",
            ", ".join(each["purposes"]),
            reader.moment(datetime.fromisoformat(each["last"])),
        )
        for each in received
    ]
    return _table("People and systems that received something", ("Who", "Times", "For", "Last"), rows)


def _automation(told: dict[str, Any]) -> str:
    decides, advises = told["decides_by_itself"], told["advises_a_person"]
    first = "" if decides else "<p>No program decides anything about you automatically.</p>\n"
    return first + _sentences([*decides, *advises])


def _transfers(told: dict[str, Any]) -> str:
    outside = told["recipients_outside"]
    none = "" if outside else "<p>No other body receives anything outside the places named here.</p>\n"
    return _sentences(told["where"]) + (_sentences(outside) if outside else none) + _sentences(told["safeguards"])


def _looked(content: Held) -> str:
    access = content.access
    events = access.events[:MOST_ENTRIES]
    complete = access.completeness
    is_whole = complete.is_complete and complete.shown == len(access.events)
    state = "complete" if is_whole else "not complete: tell the privacy office"
    said = f"<p>The list is {state}: {len(access.events)} of {complete.held} entries of the ledger.</p>\n"
    if len(events) < len(access.events):
        said += f"<p>Here are the newest {len(events)}. All {len(access.events)} are in ACCESS.JSON.</p>\n"
    rows = [
        (
            content.reader.moment(event.at),
            _name(looked.who(event)),
            event.sentence,
            event.purpose,
            ", ".join(f"§ {each}" for each in event.clauses),
            "not yet" if event.index is None else f"{event.index}",
        )
        for event in events
    ]
    if access.counted:
        said += _CHECK
    return said + _table("Who did what, newest first", ("When", "Who", "What", "Why", "Clauses", "Number"), rows)


def _name(who: dict[str, str]) -> str:
    """How somebody is called here; colleagues whose attempt was refused have no name in it."""
    if who.get("kind") == "recipient":
        return f"{who['name']}, {who['address']}"
    if "name" in who:
        return f"{who['name']} ({who['role']}, {who['organisation']})" if who["role"] != "patient" else who["name"]
    return f"somebody with the role {who['role']}"


def _section(heading: str, inside: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{inside}</section>\n"


def _sentences(told: Iterable[dict[str, Any]], *rows: str) -> str:
    """Clauses as a list: sentence, number, and the rows of "how this is kept" that are wanted."""
    items = []
    for each in told:
        more = "".join(f"<br>{escape(row)}: {escape(each['kept'][row])}." for row in rows if row in each["kept"])
        items.append(f"<li>{escape(each['says'])} <small>§ {escape(each['clause'])}</small>{more}</li>\n")
    return f"<ul>\n{''.join(items)}</ul>\n" if items else "<p>Nothing.</p>\n"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(each)}</td>" for each in rest) + "</tr>\n"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0"><table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
