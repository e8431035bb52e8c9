"""The report as a PDF for an auditor, and the signature that goes with it.

The signature is detached: a text file beside the PDF with the SHA-256 of the file, the deployment's Ed25519 signature
over it, and the public key. What is proved by the ledger stands in the PDF with its numbers; the full proofs are in the
JSON form of the same report.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.proofs.model import Checked, Proven, Report, Standing

_HEAD: Final = "troth report v1"
_QUIET: Final = "#555555"
_COLOURS: Final = {Standing.KEPT: "#1f6b4a", Standing.BROKEN: "#a3262a", Standing.NOT_POSSIBLE: "#8a5a00"}
_HOLDS: Final = {True: "holds", False: "BROKEN", None: "unproven"}


class Signer(Protocol):
    """What signs for the deployment; the keyring does."""

    @property
    def public_key(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature over a message."""
        ...


def as_pdf(reports: Sequence[Report]) -> bytes:
    """Reports as one PDF, A4; the same reports give the same bytes.

    Args:
        reports: One for each notice in force.
    """
    # Imported here: nothing else of the platform draws PDF.
    from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
    from reportlab.lib.units import mm  # type: ignore[import-untyped]
    from reportlab.platypus import SimpleDocTemplate  # type: ignore[import-untyped]

    written = BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=20 * mm,
        topMargin=22 * mm,
        bottomMargin=20 * mm,
        title="What was promised, and whether it is kept",
        author="Troth",
        invariant=1,
    )
    document.build([part for report in reports for part in _parts(report)], onFirstPage=_foot, onLaterPages=_foot)
    return written.getvalue()


def signature_of(pdf: bytes, signer: Signer) -> str:
    """The text that is kept beside a PDF.

    Args:
        pdf: Its bytes.
        signer: Signs for the deployment.
    """
    digest = hashlib.sha256(pdf).hexdigest()
    signature = b64encode(signer.sign(_message(digest))).decode()
    return f"{_HEAD}\nsha256 {digest}\nsignature {signature}\nkey {b64encode(signer.public_key).decode()}\n"


def is_signed(pdf: bytes, text: str, public_key: bytes) -> bool:
    """Whether a signature text is that of a deployment over these very bytes.

    Args:
        pdf: Bytes of the PDF.
        text: What lies beside it.
        public_key: Of the deployment, got another way than from the text.
    """
    lines = dict(line.split(" ", 1) for line in text.splitlines()[1:] if " " in line)
    digest = hashlib.sha256(pdf).hexdigest()
    if not text.startswith(_HEAD + "\n") or lines.get("sha256") != digest:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(b64decode(lines.get("signature", "")), _message(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(digest: str) -> bytes:
    return f"{_HEAD}\n{digest}\n".encode()


def _parts(report: Report) -> list[Any]:
    from reportlab.platypus import PageBreak

    told = ", ".join(f"{report.count(standing)} {standing.value}" for standing in Standing)
    book = "agrees with everything that was signed" if report.ledger_holds else "DIFFERS from what was signed"
    parts: list[Any] = [
        _text("What was promised, and whether it is kept", "Title"),
        _text(f"{escape(report.notice)}, version {report.version}. Checked {report.at:%d %B %Y, %H:%M} UTC."),
        _text(f"{len(report.promises)} promises: {told}. Ledger of {report.ledger_size:,} entries: it {book}."),
        _text(f"Public key of the ledger: <font face='Courier' size='8'>{escape(report.verifier_key)}</font>"),
        _text("Safeguards, looked at on the running platform", "Heading2"),
        *(_check(check) for check in report.safeguards),
    ]
    section = ""
    for promise in report.promises:
        if promise.section != section:
            section = promise.section
            parts.append(_text(escape(section), "Heading2"))
        parts += _promise(promise)
    return [*parts, PageBreak()]


def _check(check: Checked) -> Any:
    standing = Standing.KEPT if check.holds else Standing.UNPROVEN if check.holds is None else Standing.BROKEN
    colour = _COLOURS.get(standing, _QUIET)
    said = f"<b>{escape(check.measure)}</b>: <font color='{colour}'>{_HOLDS[check.holds]}</font>. {escape(check.found)}"
    return _text(said)


def _promise(promise: Proven) -> list[Any]:
    colour = _COLOURS.get(promise.standing, _QUIET)
    ids = f" [{', '.join(promise.promises)}]" if promise.promises else ""
    reason = escape(promise.reason[:1].upper() + promise.reason[1:])
    lines = [
        f"<b>§ {promise.clause_id}</b>{ids} <font color='{colour}'><b>{promise.standing.value}</b></font>. "
        f"{escape(promise.says)}",
        f"<font size='8'>Enforced by {escape(promise.enforcer)}. {reason}.</font>",
    ]
    lines += [f"<font size='8'>Not possible here yet: {escape(lacks)}.</font>" for lacks in promise.lacks]
    for each in promise.examples:
        said = f"{each.at:%Y-%m-%d %H:%M} {each.kind} entry {each.number} speaks against it"
        lines.append(f"<font face='Courier' size='7'>{said}</font>")
    return [_text(line) for line in lines]


def _text(markup: str, style: str = "BodyText") -> Any:
    from reportlab.lib.styles import getSampleStyleSheet  # type: ignore[import-untyped]
    from reportlab.platypus import Paragraph

    # The standard faces of PDF hold Latin letters only; what they lack is shown as such and never left out.
    return Paragraph(markup.encode("cp1252", "replace").decode("cp1252"), getSampleStyleSheet()[style])


def _foot(canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(62, 34, "Signed apart: the signature lies beside this file.")
    canvas.drawRightString(535, 34, f"{document.page}")
