"""What the pages can do for the clauses of a notice; `by` names the route, and a test finds each of them."""

from __future__ import annotations

from typing import Final

from troth.notice import Serves

RIGHTS: Final = (
    Serves("right", "access:ask", "route:/requests/new", ("patients",)),
    Serves("right", "access:ask", "route:/account/copy.json", ("users",)),
    Serves("right", "erase:ask", "route:/requests/new", ("patients",)),
    Serves("right", "object:ask", "route:/choices", ("patients", "users")),
    Serves("right", "object:acknowledge", "route:/choices"),
    Serves("right", "object:decide", "route:/office/decisions/objections/{id}"),
    Serves("right", "object:answer", "route:/choices/{id}"),
    Serves("right", "restrict:ask", "route:/choices", ("patients",)),
    Serves("right", "restrict:acknowledge", "route:/choices"),
    Serves("right", "restrict:decide", "route:/choices"),
    Serves("right", "restrict:answer", "route:/choices/{id}"),
    Serves("right", "withdraw:ask", "route:/choices", ("patients", "users")),
    Serves("right", "withdraw:acknowledge", "route:/choices"),
    Serves("right", "withdraw:decide", "route:/choices"),
    Serves("right", "withdraw:answer", "route:/choices/{id}"),
)
"""A choice of one's own is acknowledged, decided and answered in the moment in which it is made."""

CHOICES: Final = (
    Serves("ask", "consent", "route:/choices"),
    Serves("ask", "elsewhere:account", "route:/invitation/{secret}"),
    Serves("ask", "elsewhere:copy", "route:/recipients"),
    Serves("withdraw", "page", "route:/choices"),
    Serves("stop", "page", "route:/choices"),
    Serves("stop", "link", "route:/stop/{link}"),
    Serves("answer", "version", "route:/choices"),
    Serves("send", "email", "route:/office/messages"),
    Serves("accept", "account", "route:/invitation/{secret}"),
    Serves("tell", "posted", "route:/notice/versions"),
    Serves("read_log", "subject", "route:/looked"),
    Serves("copy", "ask", "route:/recipients"),
    Serves("copy", "file", "route:/office/instruments"),
)

OFFICE: Final = (
    Serves("hold", "place", "route:/office/holds"),
    Serves("hold", "release", "route:/office/holds/{id}/release"),
    Serves("instruct", "give", "route:/office/instructions"),
    Serves("instruct", "revoke", "route:/office/instructions/{id}/end"),
    Serves("file", "agreement", "route:/office/contracts"),
    Serves("order", "document", "route:/office/orders"),
    Serves("order", "review", "route:/office/orders/{id}/review"),
    Serves("gate", "aggregate", "route:/office/disclosures"),
    Serves("take", "subject", "route:/invitation/{secret}"),
    Serves("take", "list", "route:/lists"),
)

FACTS: Final = (
    Serves("claim", "emergency_reason", "route:/emergency/{id}/open"),
    Serves("claim", "assignment", "route:/studies/{id}/care"),
    Serves("claim", "duty", "route:/admin/care"),
    Serves("claim", "staff_list", "route:/lists/{id}"),
    Serves("claim", "seconded", "route:/admissions/{id}"),
)

ACTS: Final = (
    Serves("act", "let_in", "route:/admin"),
    Serves("act", "change_role", "route:/admin/people/{id}"),
    Serves("act", "end_access", "route:/admin/people/{id}"),
    Serves("act", "issue_token", "route:/admin/tokens"),
    Serves("act", "ask_support", "route:/account/support"),
    Serves("act", "assign", "route:/studies/{id}/care"),
    Serves("act", "bring_people", "route:/lists"),
    Serves("act", "choose", "route:/choices"),
    Serves("act", "copy", "route:/requests/{id}/copy"),
    Serves("act", "decide_about", "route:/office/decisions/proposals/{id}"),
    Serves("act", "decide_request", "route:/office/decisions/objections/{id}"),
    Serves("act", "disclose", "route:/office/disclosures"),
    Serves("act", "dispose", "route:/lists/due"),
    Serves("act", "hold", "route:/office/holds"),
    Serves("act", "instruct", "route:/office/instructions"),
    Serves("act", "invite", "route:/studies/{id}/invite"),
    Serves("act", "keep_register", "route:/office/recipients"),
    Serves("act", "merge", "route:/office/patients/{id}/{other}"),
    Serves("act", "open_notice", "route:/notice"),
    Serves("act", "open_request", "route:/requests"),
    Serves("act", "override", "route:/emergency/{id}/open"),
    Serves("act", "publish_notice", "route:/office/notice/{id}"),
    Serves("act", "rectify", "route:/studies/{id}/correct"),
    Serves("act", "register", "route:/invitation/{secret}"),
    Serves("act", "resolve", "route:/conflicts/{id}"),
    Serves("act", "restrict", "route:/choices"),
    Serves("act", "review", "route:/office/emergencies/{id}"),
    Serves("act", "see_log", "route:/looked"),
    Serves("act", "see_proofs", "route:/promises"),
    Serves("act", "see_request", "route:/requests/{id}"),
    Serves("act", "send_message", "route:/office/messages"),
    Serves("act", "sign_in", "route:/sign-in"),
    Serves("act", "state_issuer", "route:/admin/numbers"),
)
"""What a notice may grant, and where it is done."""
