"""The DICOM network door: services, transfer syntaxes, associations, keys and statuses."""

from __future__ import annotations

from dataclasses import fields

from pydicom.uid import UID, UID_dictionary
from pydicom.uid import AllTransferSyntaxes as _KNOWN
from pynetdicom import AllStoragePresentationContexts

from tools.statement.model import Fact, Table
from troth.archive import attributes, errors
from troth.dicom import codecs, walk
from troth.dicom import errors as bytes_errors
from troth.dicom import syntaxes as syntaxes_of
from troth.doors import errors as shared
from troth.doors import taking
from troth.doors.dimse import command, committing, conversation, finding, identifier, negotiation, offered, retrieving
from troth.doors.dimse import errors as faults
from troth.doors.dimse.limits import Limits
from troth.kit import errors as kit

#: PS3.6 Table A-1 without what is retired and no longer named; deflated image frames are newer than pydicom's list.
SYNTAXES = sorted({str(uid) for uid in _KNOWN} | {offered.DEFLATED_FRAMES} | set(negotiation._KEPT), key=UID)
KEPT = [uid for uid in SYNTAXES if negotiation.is_kept_syntax(uid)]
REFUSED = [uid for uid in SYNTAXES if not negotiation.is_kept_syntax(uid)]
_UNTRIED = {syntaxes_of.HTJ2K, syntaxes_of.HTJ2K_LOSSLESS, syntaxes_of.HTJ2K_LOSSLESS_RPCL}
_RECODED = retrieving.dicom_natives()
_OPERATIONS = {
    command.C_ECHO_RQ: "C-ECHO", command.C_FIND_RQ: "C-FIND", command.C_MOVE_RQ: "C-MOVE",
    command.C_GET_RQ: "C-GET", command.N_ACTION_RQ: "N-ACTION, N-EVENT-REPORT",
}  # fmt: skip


def name_of(uid: str) -> str:
    """Name of a UID, as PS3.6 has it."""
    known = UID_dictionary.get(uid)
    return known[0] if known else {offered.DEFLATED_FRAMES: "Deflated Image Frame Compression"}.get(uid, uid)


def services() -> Table:
    """SOP classes by role."""
    plain = " · ".join(f"`{uid}`" for uid in offered.PLAIN_SYNTAXES)
    rows = [
        Fact(f"SCP {one.name}", (one.name, f"`{one.sop_class}`", _OPERATIONS[one.field], "no", "yes", plain))
        for one in offered.OFFERS.values()
    ]
    storage = f"{len(AllStoragePresentationContexts)} of the standard, below"
    rows += [
        Fact("SCP Storage", ("Storage", storage, "C-STORE", "yes", "yes", "all of the next table")),
        Fact(
            "SCP Storage private",
            ("Storage, private classes", "outside `1.2.840.10008`", "C-STORE", "yes", "yes", "the same"),
        ),
        Fact(
            "SCP Storage to come",
            ("Storage, classes to come", f"under `{offered.STORAGE_ARC}`", "C-STORE", "yes", "yes", "the same"),
        ),
        Fact(
            "SCU Storage C-MOVE",
            ("Storage within C-MOVE", "the class that is held", "C-STORE", "yes", "no", "the one that is held, else "
             "Explicit and Implicit VR Little Endian where nothing is compressed"),
        ),
        Fact(
            "SCU Storage C-GET",
            ("Storage within C-GET", "the class that is held", "C-STORE", "yes", "no", "those of the association, the "
             "one that is held first"),
        ),
        Fact(
            "SCU Storage disclosure",
            ("Storage of a disclosure", "the class that is held", "C-STORE", "yes", "no", "the one that is held"),
        ),
    ]  # fmt: skip
    heads = ("service", "SOP class", "operation", "SCU", "SCP", "transfer syntaxes")
    return Table("SOP classes by role", heads, tuple(rows))


def absent() -> Table:
    """What a peer might expect and does not find."""
    rows = (
        ("Modality Worklist, Modality Performed Procedure Step, Unified Procedure Step", "1.2.840.10008.5.1.4.31"),
        ("Media Storage Directory", "1.2.840.10008.1.3.10"),
        ("Storage Commitment Pull Model (retired)", "1.2.840.10008.1.20.2"),
    )
    return Table(
        "Not offered",
        ("service", "example"),
        tuple(Fact(f"not offered {uid}", (what, f"`{uid}`")) for what, uid in rows),
        "A context for one of these is answered with result 3 (abstract syntax not supported). Instance Availability "
        "Notification, relational queries, extended and asynchronous negotiation, user identity and C-FIND of "
        "instances by content are not negotiated either.",
    )


def storage_classes() -> str:
    """The storage classes of the standard, as a list."""
    classes = sorted(str(one.abstract_syntax) for one in AllStoragePresentationContexts)
    return "\n".join(f"- {name_of(uid)} `{uid}`" for uid in classes)


def syntaxes() -> Table:
    """Transfer syntaxes of storage, and what becomes of them."""
    rows = []
    for uid in KEPT:
        kept = "inflated, as Explicit VR Little Endian" if uid == offered.DEFLATED else "as it comes"
        leaves = "as held"
        if uid in _RECODED:
            leaves = "as held, or Explicit or Implicit VR Little Endian"
        elif uid == offered.DEFLATED:
            leaves = "as Explicit or Implicit VR Little Endian"
        said = "yes" if uid in codecs.DECODED else "no"
        if uid in _UNTRIED:
            said += "; no file to try it on"
        rows.append(Fact(f"syntax {uid}", (name_of(uid), f"`{uid}`", kept, leaves, said)))
    heads = ("transfer syntax", "UID", "kept", "leaves by C-MOVE and C-GET", "drawn (`rendered`)")
    return Table(
        "Transfer syntaxes of storage", heads, tuple(rows),
        "The peer's order decides which of its proposals is taken; big endian and deflated are taken last. Compressed "
        "pixels are never unpacked on the way out: where the other side does not take them, the instance fails and is "
        "named in Failed SOP Instance UID List (0008,0058).",
    )  # fmt: skip


def refused_syntaxes() -> Table:
    """Transfer syntaxes that are not taken."""
    rows = tuple(Fact(f"refused syntax {uid}", (name_of(uid), f"`{uid}`")) for uid in REFUSED)
    return Table(
        "Transfer syntaxes that are not taken", ("transfer syntax", "UID"), rows,
        "They carry a link to pixels held elsewhere, or are no transfer syntax of pixels or data sets in a message.",
    )  # fmt: skip


def rejections() -> Table:
    """A-ASSOCIATE-RJ."""
    rows = (
        ("1 1 2", "another application context"),
        ("1 2 2", "another protocol version"),
        ("1 1 3", "not registered, wrong certificate, wrong called AE title: whatever was wrong, the same answer"),
        ("2 3 1", "stopping, or too many requests wait for their answer"),
        ("2 3 2", "too many associations, of all or of this peer"),
    )
    return Table(
        "Rejections (result, source, reason)", ("values", "when"),
        tuple(Fact(f"reject {values}", (values, when)) for values, when in rows),
    )  # fmt: skip


def negotiated() -> Table:
    """Association policies."""
    rows = (
        ("application context", "`1.2.840.10008.3.1.1.1`"),
        ("roles", "a peer may be SCP of a storage class (C-GET); of the other classes we are the SCP alone"),
        ("contexts", "up to 128, each answered for itself"),
        ("operations", "one at a time; C-CANCEL is taken meanwhile; no asynchronous window"),
        ("abort", "whatever breaks the upper layer ends in A-ABORT, source 2, and in nothing else"),
        ("idle", "10,000 silent connections do not stop service"),
    )
    return Table(
        "Association policies", ("what", "how"),
        tuple(Fact(f"association {what}", (what, how)) for what, how in rows),
    )  # fmt: skip


def limits() -> Table:
    """Bounds of the listener."""
    described = {}
    for line in (Limits.__doc__ or "").splitlines():
        name, colon, text = line.strip().partition(": ")
        if colon and name.isidentifier():
            described[name] = text
        elif described and line.startswith(" " * 12):
            described[list(described)[-1]] += " " + line.strip()
    usual = Limits()
    rows = tuple(
        Fact(f"limit {one.name}", (f"`{one.name}`", f"{getattr(usual, one.name):,}", described[one.name].rstrip(".")))
        for one in fields(Limits)
    )
    return Table("Bounds", ("name", "value", "what"), rows)


def instance_bounds() -> Table:
    """What one instance may be."""
    least = walk.LIMITS
    rows = (
        ("head_bytes", f"{least.head_bytes:,}", "bytes of all elements before the pixels (or what else is the bulk "
         "value), sequences of functional groups among them; passed through sealed, so it costs no memory"),
        ("fragments", f"{least.fragments:,}", "fragments of compressed pixels"),
        ("depth", f"{least.depth}", "levels of sequences"),
        ("inflated", f"{least.inflated_bytes:,}; {least.inflated_elements:,}; {least.inflate_ratio} : 1",
         "of a deflated data set: bytes, elements, and bytes out for a byte in"),
    )  # fmt: skip
    return Table(
        "Bounds of one instance", ("what", "most", "of what"),
        tuple(Fact(f"large {name}", (name, most, what)) for name, most, what in rows),
        "At both doors, beside the bound of the whole data set. They are bounds of the instance and not of the way it "
        "arrives: the answer is the same each time. More is A700. Fewer pixels than rows, columns and frames say, none "
        "at all, a Number of Frames that is no number, two blanks instead of a value representation (the dictionary's "
        "is written) and zeros behind the last element (they are left away) are taken. Metadata of an instance with "
        "more than a mebibyte before its pixels is written piece by piece, as JSON; as XML it is 406.",
    )  # fmt: skip


def find_keys() -> Table:
    """Keys of C-FIND by level."""
    rows = []
    known = sorted(
        tag for level in attributes.LEVELS for tag in (*attributes._CLEAR[level], *attributes._SEALED[level])
    )
    for level in identifier.LEVELS:
        keys = [tag for tag in known if identifier.is_supported(tag, level) and attributes.vr_of(tag) != "SQ"]
        own = [tag for tag in keys if level == "PATIENT" or attributes.level_of(tag) == _own(level)]
        roots = "patient" if level == "PATIENT" else "patient, study"
        above = "" if level in ("PATIENT", "STUDY") else "those of the levels above, and "
        told = above + ", ".join(f"{attributes.keyword_of(tag)}" for tag in own)
        unique = attributes.keyword_of(identifier.UNIQUE_KEYS[level])
        rows.append(Fact(f"C-FIND keys {level}", (level, roots, unique, told)))
    return Table(
        "C-FIND: keys that are matched and returned", ("level", "roots", "unique key", "keys"), tuple(rows),
        "The unique key of each level above must have one value. Besides, each answer carries Specific Character Set "
        "(ISO_IR 192), Query/Retrieve Level, Retrieve AE Title (the title that was called), Instance Availability "
        "(ONLINE), and Issuer of Patient ID wherever there is one.",
    )  # fmt: skip


def _own(level: str) -> str:
    return {"STUDY": "study", "SERIES": "series", "IMAGE": "instance"}[level]


def matching() -> Table:
    """Kinds of matching, PS3.4 C.2.2.2."""
    rows = (
        ("universal", "an empty value, or `*`"),
        ("single value", "every key; person names without regard to case and diacritics"),
        ("list of UID", "keys of VR UI"),
        ("wildcard", "`*` and `?` in AE, CS, LO, LT, PN, SH, ST, UC, UR, UT"),
        ("range", "dates and times, open at either end"),
        ("character sets", "the identifier is read in its own Specific Character Set"),
    )
    return Table(
        "C-FIND: matching", ("kind", "where"), tuple(Fact(f"C-FIND match {kind}", (kind, how)) for kind, how in rows),
        "**Deviation, on purpose.** PS3.4 C.4.1.3 lets an SCP ignore an optional matching key with a warning (FF01). "
        "Clients rarely look at the warning, and the answer would show more people than were asked for. A matching key "
        "that cannot be honoured is therefore refused, keys within a sequence among them, and nothing is searched. A "
        "return key that is not kept is left out, and its responses are FF01.",
    )  # fmt: skip


def _statuses(service: str, rows: list[tuple[int, str]]) -> Table:
    told = tuple(Fact(f"{service} {code:04X}", (f"{code:04X}", meaning)) for code, meaning in rows)
    return Table(f"{service}: statuses", ("status", "meaning"), told)


#: Faults of one instance, each with the status that both doors give it. `tests/unit` holds this list against the code.
STORE_FAULTS: tuple[type[kit.TrothError], ...] = (
    bytes_errors.Malformed, bytes_errors.NotDicom, bytes_errors.Truncated, bytes_errors.TooDeep,
    bytes_errors.UidInvalid, bytes_errors.HeadTooLarge, errors.DuplicateDiffers, errors.OtherPatient,
    errors.OtherStudy, errors.WasErased, errors.CannotCoerce, kit.PermitDenied, taking.NotTaken, kit.TrothError,
)  # fmt: skip
NETWORK_FAULTS = (shared.UidsDiffer, faults.DatasetTooLarge)


def store_statuses() -> Table:
    """C-STORE, from the tree of errors."""
    return _statuses("C-STORE", [
        (command.SUCCESS, "durable: bytes and rows are on the disk; also for the same bytes again"),
        (taking.COERCED, "durable as well, and elements were coerced, because the study was corrected; also for the "
         "same bytes again"),
        *by_status((*STORE_FAULTS, *NETWORK_FAULTS)),
        (command.UNRECOGNISED_OPERATION, "another operation in a context of storage"),
    ])  # fmt: skip


def by_status(faulty: tuple[type[kit.TrothError], ...]) -> list[tuple[int, str]]:
    """Statuses of errors, with the sentences that are said."""
    found: dict[int, list[str]] = {}
    for one in faulty:
        found.setdefault(one.dimse_status, []).append(one.title)
    return [(code, " · ".join(dict.fromkeys(titles))) for code, titles in sorted(found.items())]


def find_statuses() -> Table:
    """C-FIND."""
    return _statuses("C-FIND", [
        (command.PENDING, "a match"),
        (command.PENDING_WITHOUT, "a match; not all return keys are kept"),
        (command.SUCCESS, "all told"),
        (command.CANCELLED, "cancelled"),
        (command.NOT_AUTHORISED, "the notice does not allow it"),
        (finding._TOO_MANY, f"more than {Limits().answers:,} matches (those are told first), or too much would have to "
         "be read"),
        (faults.IdentifierWrong.dimse_status, "malformed; level not of the model; a unique key above missing, a list "
         "or a pattern"),
        (faults.KeyNotHonoured.dimse_status, "a matching key that cannot be honoured; Offending Element names it"),
        (finding._VALUE_INVALID, "a value that its VR does not allow"),
        (conversation._CLASS_NOT_SUPPORTED, "the command names another SOP class than its context"),
    ])  # fmt: skip


def retrieve_statuses() -> Table:
    """C-MOVE and C-GET."""
    return _statuses("C-MOVE and C-GET", [
        (command.PENDING, "under way; the counts follow each instance"),
        (command.SUCCESS, "all sent"),
        (command.CANCELLED, "cancelled, with what remains"),
        (retrieving._SOME_FAILED, "some failed, or were taken with a warning; the failed ones are named"),
        (retrieving._ALL_FAILED, "none could be sent; also a destination that is down, refuses, or shows another "
         "certificate"),
        (retrieving._TOO_MANY, f"more than {Limits().retrieved:,} instances"),
        (faults.DestinationUnknown.dimse_status, "C-MOVE: destination not registered by this organisation"),
        (faults.IdentifierWrong.dimse_status, "malformed, missing or further keys; a PatientID of several people"),
        (faults.NothingThere.dimse_status, "nothing of it is there, or is for this peer: which of both is not told"),
    ])  # fmt: skip


def commit_statuses() -> Table:
    """N-ACTION of storage commitment."""
    return _statuses("N-ACTION", [
        (command.SUCCESS, "the request is durable"),
        (committing._NO_SUCH_INSTANCE, "another SOP instance than the well-known one"),
        (committing._INVALID_ARGUMENT, "no transaction UID or no references"),
        (committing._NO_SUCH_ACTION, "another action"),
        (command.NOT_AUTHORISED, "the notice does not allow it"),
    ])  # fmt: skip


def commit_reasons() -> Table:
    """Failure reasons of storage commitment."""
    return _statuses("N-EVENT-REPORT", [
        (0x0112, "not held, or erased"),
        (0x0119, "held with another SOP class"),
        (0x0110, "cannot be read back as it was stored"),
    ])  # fmt: skip
