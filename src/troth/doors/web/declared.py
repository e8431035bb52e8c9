"""Every form of the pages and what each of its fields takes. A form or field that is not here is not accepted.

The check and the start compare this with the notice (`notice.coverage`) and with the routes: a form without a line
here does not pass and does not start, and a field without one is refused before anything looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from troth.doors.web.errors import ActUndeclared, FieldUndeclared, FormUndeclared
from troth.notice import Collecting

NOBODY: Final = ""
"""What a field takes says nothing about anybody: a choice of ours, a proof, an id."""


SHORT_BYTES: Final = 16_384
"""Most of a form that takes a few short fields."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    Attributes:
        path: Its route, as the application writes it.
        surface: The surface of the notice it stands on.
        fields: Each field with what it takes, of `notice.HOLDINGS`; a name that ends in * stands for numbered ones.
        limit_bytes: Most that is read of it.
        by: The actions that it serves; where no notice allows any of them, nothing comes in by it.
    """

    path: str
    surface: str
    fields: Mapping[str, str]
    limit_bytes: int = SHORT_BYTES
    by: tuple[str, ...] = ()


LONG_BYTES: Final = 1_048_576
"""Most of a form that takes a whole document: a notice or a contract, as browsers write it."""


def _form(path: str, surface: str, **fields: str) -> Form:
    return Form(path, surface, MappingProxyType({"token": NOBODY, "here": NOBODY, **fields}))


def _long(path: str, surface: str, **fields: str) -> Form:
    return replace(_form(path, surface, **fields), limit_bytes=LONG_BYTES)


_TELLING: Final = ("scope", "studies", "study", "reason")
"""Fields of the registers that can say something about a patient; the others are about organisations and rules."""


_TIMES: Final = "valid_from valid_until"
_REGISTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recipients": "key name kind address country stands_under categories purposes contract_key peer_ae email",
        "contracts": f"key kind party approved_by document {_TIMES}",
        "instruments": f"key kind origin destination recipient_key document {_TIMES}",
        "orders": f"kind authority country scope studies document {_TIMES}",
        "instructions": f"key words actions purposes {_TIMES}",
        "disclosures": "kind recipient study account totals category purpose order told_on reason",
    }
)
"""The registers of the privacy office and the fields of each; a test compares them with the pages."""


def _register(name: str, terms: str) -> Iterator[tuple[str, Form]]:
    """The two forms of a register: to add a row, and to end one."""
    fields = {term: "disclosures" if term in _TELLING else NOBODY for term in terms.split()}
    form = _long if "document" in fields else _form
    yield f"office_{name}", form(f"/office/{name}", "portal", **fields)
    if name != "disclosures":
        yield f"office_{name}_end", _form(f"/office/{name}/{{id}}/end", "portal", reason=NOBODY)


_SYSTEM: Final = ("host", "port", "certificate", "tls", "ae", "called_ae", "purpose")


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "sign_in": _form("/sign-in", "site", email="account"),
        "sign_in_code": _form("/sign-in/sent", "site", code=NOBODY, shown=NOBODY, person=NOBODY),
        "sign_in_passkey": _form("/sign-in/passkey", "site", answer=NOBODY, person=NOBODY),
        "sign_in_passkey_ask": _form("/sign-in/passkey/ask", "site", answer=NOBODY),
        "enter": _form("/sign-in/{secret}", "site", shown=NOBODY, person=NOBODY),
        "second_step": _form("/second-step", "site", code=NOBODY),
        "second_step_again": _form("/second-step/again", "portal"),
        "second_step_app": _form("/second-step/app", "site", code=NOBODY),
        "second_step_passkey": _form("/second-step/passkey", "site", act=NOBODY, answer=NOBODY),
        "second_step_ask": _form("/second-step/passkey/ask", "site", act=NOBODY, answer=NOBODY),
        "own_factors": _form("/account/factors", "portal", act=NOBODY, factor=NOBODY),
        "member_factors": _form("/admin/factors", "portal", act=NOBODY, about=NOBODY),
        "sign_out": _form("/sign-out", "portal"),
        "invitation": _form("/invitation", "site", link=NOBODY),
        "register": _form(
            "/invitation/{secret}",
            "site",
            name="demographics",
            day="demographics",
            month="demographics",
            year="demographics",
            code=NOBODY,
            email="account",
            shown=NOBODY,
            place=NOBODY,
            agreed="choices",
        ),
        "theme": _form("/theme", "site", theme=NOBODY, back=NOBODY),
        "rights_request": Form(
            "/requests",
            "portal",
            MappingProxyType(
                {
                    "token": NOBODY,
                    "here": NOBODY,
                    "right": "requests",
                    "sure": NOBODY,
                    "study-*": NOBODY,
                    "everything": NOBODY,
                }
            ),
        ),
        "invite_patient": _form("/studies/{id}/invite", "portal", email="account", act=NOBODY),
        "care_team": _form("/studies/{id}/care", "portal", person=NOBODY, until=NOBODY, reason="reports", ended=NOBODY),
        "correct_study": replace(
            _form(
                "/studies/{id}/correct",
                "portal",
                sure=NOBODY,
                name="demographics",
                born="demographics",
                sex="demographics",
                age="demographics",
                accession="reports",
                number="reports",
                description="images",
                referrer="images",
                day="images",
                time="images",
                source=NOBODY,
            ),
            by=("rectify",),
        ),
        "office_corrections": replace(
            _form("/office/corrections", "portal", patient="demographics", issuer=NOBODY, study=NOBODY),
            by=("rectify",),
        ),
        "care_house": _form(
            "/admin/care",
            "portal",
            person=NOBODY,
            patient="demographics",
            issuer=NOBODY,
            until=NOBODY,
            reason="reports",
        ),
        "care_end": _form("/admin/care/{id}/end", "portal", reason="reports"),
        "emergency": _form("/emergency", "portal", patient="demographics", issuer=NOBODY, reason="reports"),
        "conflict": replace(
            _form("/conflicts/{id}", "portal", act=NOBODY, scope=NOBODY, sure=NOBODY, reason="images"),
            by=("resolve",),
        ),
        "studies": replace(
            _form(
                "/studies",
                "portal",
                q="demographics",
                **{"from": NOBODY},
                to=NOBODY,
                days=NOBODY,
                modality=NOBODY,
                order=NOBODY,
                film=NOBODY,
            ),
            by=("query",),
        ),
        "office_reminder": _form("/office/reminder", "portal", act=NOBODY),
        "office_objection": _form("/office/decisions/objections/{id}", "portal", outcome=NOBODY, reason="choices"),
        "office_proposed": _form("/office/decisions/proposals/{id}", "portal", outcome=NOBODY, reason="choices"),
        "office_hold": _form(
            "/office/holds",
            "portal",
            about=NOBODY,
            patient="demographics",
            issuer=NOBODY,
            study=NOBODY,
            reason="requests",
            document=NOBODY,
            review_on=NOBODY,
            ends_on=NOBODY,
        ),
        "office_release": _form("/office/holds/{id}/release", "portal", reason="requests"),
        "office_patients": _form(
            "/office/patients",
            "portal",
            first="demographics",
            first_issuer=NOBODY,
            second="demographics",
            second_issuer=NOBODY,
        ),
        "office_pair": _form("/office/patients/{id}/{other}", "portal", stays=NOBODY, act=NOBODY, reason="requests"),
        "office_merge": _form("/office/merges/{id}", "portal", act=NOBODY, reason="requests"),
        "admin_numbers": _form("/admin/numbers", "portal", act=NOBODY, issuer=NOBODY),
        "office_emergency": _form("/office/emergencies/{id}", "portal", outcome=NOBODY, finding="reports"),
        "choices": _form("/choices", "portal", act="choices", about="choices", reason="choices"),
        "support": replace(_form("/account/support", "portal", text="contacts"), by=("ask_support",)),
        "dispose_contacts": _form("/lists/due", "portal"),
        "people_list": replace(
            _long(
                "/lists",
                "portal",
                source=NOBODY,
                activity=NOBODY,
                supplier="contacts",
                list="contacts",
                file="contacts",
            ),
            by=("bring_people",),
        ),
        "people_list_decide": _form("/lists/{id}", "portal", act=NOBODY),
        # Its address is the proof: mail programs press without a session (RFC 8058 3.1).
        "unsubscribe": Form("/stop/{link}", "site", MappingProxyType({"act": NOBODY, "List-Unsubscribe": NOBODY})),
        "document_request": _form(
            "/recipients", "site", instrument=NOBODY, email="requests", place=NOBODY, agreed="choices"
        ),
        **{name: form for register, terms in _REGISTERS.items() for name, form in _register(register, terms)},
        **{
            f"platform_{name.removeprefix('office_')}": replace(
                form, path=form.path.replace("/office/", "/office/platform/")
            )
            for register in ("recipients", "contracts", "instruments")
            for name, form in _register(register, _REGISTERS[register])
        },
        "office_order_review": _form("/office/orders/{id}/review", "portal"),
        "office_message": _form(
            "/office/messages", "portal", title="mail", text="mail", person=NOBODY, topic=NOBODY, purpose=NOBODY
        ),
        "office_proposal": _long("/office/notice", "portal", act=NOBODY, source=NOBODY, material=NOBODY),
        "office_breach": _form(
            "/office/breaches/{id}", "portal", act=NOBODY, words=NOBODY, happened="account", done="account"
        ),
        "office_notice": _form("/office/notice/{id}", "portal", act=NOBODY, sha256=NOBODY, material=NOBODY),
        "add_user": _form("/admin", "portal", name="account", email="account", role="account"),
        "add_officer": _form("/office/people", "portal", name="account", email="account"),
        "invitation_act": _form("/admin/invitations/{id}", "portal", act=NOBODY),
        "admission_act": _form("/admissions/{id}", "portal", act=NOBODY),
        "person_act": _form("/admin/people/{id}", "portal", act=NOBODY, role="account", session=NOBODY),
        "add_system": _form("/admin/systems", "portal", **dict.fromkeys(_SYSTEM, NOBODY)),
        "system_act": _form("/admin/systems/{id}", "portal", act=NOBODY, **dict.fromkeys(_SYSTEM[:4], NOBODY)),
        "issue_token": _form("/admin/tokens", "portal", role=NOBODY, purpose=NOBODY, days=NOBODY),
        "revoke_token": _form("/admin/tokens/{id}", "portal"),
        "close_account": _form("/account/close", "portal"),
        "own_zone": _form("/account/zone", "portal", zone="account"),
        "own_session": _form("/account/sessions", "portal", session=NOBODY),
    }
)

ACTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "second_step_passkey": ("show", "make"),
        "second_step_ask": ("show", "make"),
        "own_factors": ("add", "remove", "codes"),
        "member_factors": ("ask", "agree", "drop"),
        "invite_patient": ("", "withdraw"),
        "conflict": ("keep", "replace", "discard"),
        "office_reminder": ("on", "off"),
        "office_pair": ("merge", "apart"),
        "office_merge": ("", "write", "back"),
        "admin_numbers": ("preview", "state", "end"),
        "choices": (
            "yes", "no", "take_back", "channel_on", "channel_off", "object", "stand_back", "stay", "accept", "stop",
            "allow",
        ),
        "people_list_decide": ("agree", "drop"),
        "unsubscribe": ("", "stop", "again"),
        "office_proposal": ("look", "propose"),
        "office_breach": ("explain", "agree", "back"),
        "office_notice": ("agree", "withdraw"),
        "invitation_act": ("again", "withdraw"),
        "admission_act": ("approve", "refuse"),
        "person_act": ("preview", "change", "session", "end", "close"),
        "system_act": ("change", "end"),
    }
)  # fmt: skip
"""What the buttons of a form say, where it has several; empty where one of them says nothing. Another word is refused:
nothing is done that nobody pressed."""

COOKIES: Final = ("troth_session",)
"""Cookies that are set whatever the notice says. The cookie of the theme is set only where the notice lists it."""


def collecting() -> Iterator[Collecting]:
    """The forms and cookies, for `notice.coverage`."""
    for name, form in FORMS.items():
        yield Collecting("form", name, form.surface, form.fields, form.by)
    for cookie in COOKIES:
        yield Collecting("cookie", cookie)


FRESH: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "rights_request": {"right": ("erase",)},
        "dispose_contacts": {},
        "conflict": {"act": ("replace", "discard")},
        "office_pair": {},
        "office_merge": {},
        "office_notice": {},
        "office_disclosures": {},
        "add_user": {},
        "add_officer": {},
        "admission_act": {},
        "person_act": {},
        "issue_token": {},
        "own_factors": {},
        "member_factors": {},
        "close_account": {},
        "office_breach": {},
        "office_proposed": {},
        "office_release": {},
        **{name: {} for name, form in FORMS.items() if form.path.startswith("/office/platform/")},
    }
)
"""Forms that erase, publish, merge, export, give a role, end an account or a hold, answer for a broken promise, decide
over a patient's choices, or steer the whole platform: they need a sign-in of the last five minutes. Where fields stand,
only when one of them says this."""


def needs_fresh(path: str, fields: Mapping[str, str]) -> bool:
    """Whether a form may be done only shortly after whoever sends it proved who they are.

    Per: ASVS 5.0 7.5.3.

    Args:
        path: Path of the request.
        fields: Of the form.
    """
    for name, when in FRESH.items():
        if _pattern(FORMS[name].path).fullmatch(path):
            return not when or any(fields.get(field) in values for field, values in when.items())
    return False


def undeclared(paths: Iterable[str]) -> list[str]:
    """The routes that take a form and have no line here, in order.

    Args:
        paths: Routes that take a form, as the application writes them.
    """
    known = {form.path for form in FORMS.values()}
    return sorted(set(paths) - known)


def require_forms(routes: Iterable[Any]) -> None:
    """Refuse to serve a form that is not declared.

    Args:
        routes: Of the application; nothing of a web server is imported here, so that a check need not.

    Raises:
        FormUndeclared: A route takes a form that has no line here.
    """
    for path in undeclared(route.path for route in routes if "POST" in (getattr(route, "methods", None) or ())):
        raise FormUndeclared(path)


def limit_bytes(path: str) -> int:
    """Most that is read of the form at a path.

    Args:
        path: Path of the request.
    """
    name = _at(path)
    return FORMS[name].limit_bytes if name else SHORT_BYTES


def require_fields(path: str, fields: Mapping[str, str]) -> None:
    """Refuse fields and buttons that a form has not. They are not told: they came from outside.

    Args:
        path: Path of the request.
        fields: What came.

    Raises:
        FieldUndeclared: One of them is not declared.
        ActUndeclared: No button of the form says this.
    """
    name = _at(path)
    if not name:
        return
    form = FORMS[name]
    for each in fields:
        if each not in form.fields and re.sub(r"[0-9]+$", "*", each) not in form.fields:
            raise FieldUndeclared
    if "act" in form.fields and fields.get("act", "") not in ACTS[name]:
        raise ActUndeclared


def _at(path: str) -> str:
    """The name of the form at a path; empty where there is none."""
    return next((name for name, form in FORMS.items() if _pattern(form.path).fullmatch(path)), "")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[a-z]+(:[a-z]+)?\}", "[^/]+", path))
