"""SQL of searches: candidates of a plan, newest first.

Written for one plan that serves all values (`Database.transaction(..., with_general_plans=True)`): the rules of the
decision are long, and planning them anew took ten times as long as carrying them out. Such a plan knows no values, so
each statement leaves it one good way: what few rows can match is found first, behind a fence; all else by date.
"""

from __future__ import annotations

from datetime import date
from typing import Any, LiteralString
from uuid import UUID

from troth import people
from troth.archive.model import Row
from troth.archive.searching import Plan
from troth.archive.store import COLUMNS, STUDY
from troth.kit.db import Connection

_MERGED = people.with_patient_id("%(tenant)s", "%(patient_id)s")
# `offset 0` keeps the order by date, and so the index by date, out of here.
_FEW: LiteralString = """(select s.*, false as is_merged from study s where s.tenant = %(tenant)s
    and {equal} offset 0) s"""
_OF_NUMBER: LiteralString = (
    """(select s.*, false as is_merged from study s where s.tenant = %(tenant)s
    and s.patient_id_token = %(patient_id)s and not s.surviving_id = any({merged}) and {equal}
    union all select s.*, true from study s where s.tenant = %(tenant)s and s.surviving_id = any({merged}) and {equal}
    offset 0) s"""
).replace("{merged}", _MERGED)


async def candidates(
    connection: Connection,
    tenant: UUID,
    plan: Plan,
    *,
    after: tuple[date, UUID] | None,
    limit: int,
    offset: int = 0,
) -> list[Row]:
    """Studies that may match a plan, newest first; `is_merged` where the PatientID asked for is another one of theirs.

    Args:
        connection: A transaction in the tenant's scope.
        tenant: The tenant.
        plan: What was planned.
        after: Date and id of the last row of the page before.
        limit: Most rows.
        offset: Rows to skip; only for plans whose rows all match.
    """
    parameters: dict[str, Any] = {
        "tenant": tenant, "limit": limit, "offset": offset, "from": plan.dates[0], "to": plan.dates[1],
    }  # fmt: skip
    order_date, order_id, source, conditions = _selected(plan, parameters)
    if after is not None:
        parameters["after_date"], parameters["after_id"] = after
        conditions.append("(" + order_date + ", " + order_id + ") < (%(after_date)s, %(after_id)s)")
    flag: LiteralString = "s.is_merged" if plan.is_by_equality else "false as is_merged"
    told: LiteralString = "select " + STUDY + ", " + flag + " from " + source + " where "  # noqa: S608 - words of ours
    order: LiteralString = " order by " + order_date + " desc, " + order_id + " desc limit %(limit)s offset %(offset)s"
    return list(
        await (await connection.execute(told + " and ".join(conditions) + order, parameters, prepare=True)).fetchall()
    )


async def count(connection: Connection, tenant: UUID, plan: Plan) -> int:
    """How many studies match a plan whose rows all do.

    Args:
        connection: A transaction in the tenant's scope.
        tenant: The tenant.
        plan: What was planned.
    """
    parameters: dict[str, Any] = {"tenant": tenant, "from": plan.dates[0], "to": plan.dates[1]}
    _, _, source, conditions = _selected(plan, parameters)
    told: LiteralString = "select count(*) from " + source + " where " + " and ".join(conditions)  # noqa: S608
    [row] = await (await connection.execute(told, parameters, prepare=True)).fetchall()
    return int(row["count"])


def _selected(
    plan: Plan, parameters: dict[str, Any]
) -> tuple[LiteralString, LiteralString, LiteralString, list[LiteralString]]:
    """The columns of date and id that a plan's rows are in order of, whence they come, and what each must meet."""
    order_date: LiteralString = "s.study_date"
    order_id: LiteralString = "s.id"
    if plan.tokens or plan.near_tokens:
        order_date, order_id = "t.study_date", "t.study_id"
        source, conditions = _by_tokens(plan, parameters)
    else:
        source = _few(plan, parameters) if plan.is_by_equality else "study s"
        conditions = ["s.tenant = %(tenant)s", "s.study_date between %(from)s and %(to)s"]
    conditions += ["s.state = 'held'", "s.instance_count > 0"]
    if not plan.with_restricted:
        conditions.append("not s.is_restricted")
    if plan.reach is not None:
        reach, further = plan.reach.where(COLUMNS)
        parameters |= further
        conditions.append(reach)
    return order_date, order_id, source, conditions


def _few(plan: Plan, parameters: dict[str, Any]) -> LiteralString:
    """The rows that equality and scope select. Only operators that are leakproof may select here."""
    equal: tuple[tuple[LiteralString, LiteralString, Any], ...] = (
        ("subject", "s.surviving_id = %(subject)s", plan.subject_id),
        ("study", "s.id = %(study)s", plan.study_id),
        ("accession", "s.accession_token = %(accession)s", plan.accession_token),
        ("birth", "s.birth_token = %(birth)s", plan.birth_token),
        ("study_uids", "s.study_uid = any(%(study_uids)s)", plan.study_uids),
        (
            "series_uids",
            "s.id in (select r.study_id from series r where r.tenant = %(tenant)s"
            " and r.series_uid = any(%(series_uids)s))",
            plan.series_uids,
        ),
        (
            "instance_uids",
            "s.id in (select r.study_id from instance i join series r on r.tenant = i.tenant and r.id = i.series_id"
            " where i.tenant = %(tenant)s and i.instance_uid = any(%(instance_uids)s))",
            plan.instance_uids,
        ),
    )
    conditions: list[LiteralString] = ["true"]
    for name, condition, wanted in equal:
        if wanted is not None:
            parameters[name] = list(wanted) if isinstance(wanted, tuple) else wanted
            conditions.append(condition)
    source = _FEW
    if plan.patient_id_token is not None:
        parameters["patient_id"] = plan.patient_id_token
        source = _OF_NUMBER
    return source.replace("{equal}", " and ".join(conditions))


def _by_tokens(plan: Plan, parameters: dict[str, Any]) -> tuple[LiteralString, list[LiteralString]]:
    """One ordered range of the index of tokens, and the further tokens that a study must have."""
    conditions: list[LiteralString] = []
    source: LiteralString
    further = list(plan.tokens)
    if plan.near_tokens:
        # Several ranges, each rare: their studies are put in order together, each once, before any is looked at.
        parameters["near"] = list(plan.near_tokens)
        source = (
            "(select distinct n.tenant, n.study_date, n.study_id from study_token n where n.tenant = %(tenant)s"
            " and n.token = any(%(near)s) and n.study_date between %(from)s and %(to)s"
            " order by n.study_date desc, n.study_id desc offset 0) t"
        )
    else:
        parameters["token"] = further.pop(0)
        source = "study_token t"
        conditions += [
            "t.tenant = %(tenant)s",
            "t.token = %(token)s",
            "t.study_date between %(from)s and %(to)s",
        ]
    names: tuple[LiteralString, ...] = ("token_1", "token_2", "token_3")
    for name, token in zip(names, further, strict=False):
        parameters[name] = token
        conditions.append(
            "exists (select from study_token x where x.tenant = t.tenant and x.token = %("
            + name
            + ")s and x.study_date = t.study_date and x.study_id = t.study_id)"
        )
    return source + " join study s on s.tenant = t.tenant and s.id = t.study_id", conditions
