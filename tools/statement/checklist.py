"""The checklist of a real archive, line by line: yes with the facts that say so, or no, because.

Lines are those of the project's review of the standard (PS3.18 2024e chapters 8 to 13, PS3.4) and of other archives.
"""

# ruff: noqa: E501  (each point is one sentence)

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["yes", "partly", "no", "differs"]


@dataclass(frozen=True)
class Line:
    """One point.

    Attributes:
        facts: What shows it; patterns as in markers.
        because: Of everything but a plain yes: why.
    """

    text: str
    answer: Answer
    facts: tuple[str, ...] = ()
    because: str = ""


def yes(text: str, *facts: str) -> Line:
    return Line(text, "yes", facts)


STORE = (
    yes(
        "multipart/related application/dicom, streamed and never buffered",
        'STOW takes multipart/related; type="application/dicom"',
        "checked streaming",
    ),
    yes(
        "metadata in JSON and XML with bulk values as parts, compressed ones too",
        'STOW takes multipart/related; type="application/dicom+*',
        "STOW takes part *",
    ),
    yes(
        "200 all, 202 some, 409 none, 400 syntax, 415 media type",
        "HTTP 200",
        "HTTP 202",
        "HTTP 409",
        "HTTP 400",
        "HTTP 415",
    ),
    yes("one bad part never aborts the rest", "checked one bad part"),
    yes(
        "Store Instances Response: RetrieveURL, Failed SOP Sequence with reason, Referenced SOP Sequence with RetrieveURL, Other Failures Sequence",
        "checked store response",
    ),
    Line(
        "Warning reasons B000, B006, B007; Original Attributes Sequence of a coercion at store",
        "partly",
        ("warning B000", "attributes correction"),
        because="nothing is discarded, and no data set is held against its SOP class",
    ),
    yes("failure reasons A7xx, Cxxx, C122, 0110", "reason A700", "reason C000", "reason C122", "C-STORE 0110"),
    Line(
        "failure reasons A9xx and 0122",
        "no",
        because="every storage class is taken, private ones too, and STOW-RS has no command that could disagree with the data set; C-STORE answers A900",
    ),
    yes("responses in JSON and XML", "POST studies"),
    yes("another study than the address names: a failure item, 409", "reason C113"),
    yes("the same bytes again are success", "checked same again"),
    yes("other bytes under the same UID: a documented answer, never overwritten", "reason 0111"),
    yes("coercion writes Original Attributes Sequence", "attributes correction"),
    yes("the preamble is zeroed (files that are two things at once)", "media preamble"),
)
SEARCH = (
    yes(
        "six resources, hierarchical and relational",
        "GET studies",
        "GET series",
        "GET instances",
        "GET studies/{study}/series",
        "GET studies/{study}/instances",
        "GET studies/{study}/series/{series}/instances",
    ),
    yes("200, 204 for nothing found, 400, 413 too broad", "HTTP 200", "HTTP 204", "HTTP 400", "HTTP 413"),
    yes("all required matching keys, and those that clients send besides", "QIDO keys *"),
    yes(
        "required returns, RetrieveURL, the counts 0020,1206, 1208, 1209, Instance Availability",
        "QIDO keys *",
        "checked returns",
    ),
    yes("tag, keyword, path into a sequence", "QIDO keys *", "checked sequence matching"),
    Line(
        "private attributes as keys, with their creator",
        "no",
        because="what is not indexed is not matched: 400, never a wider answer",
    ),
    yes("includefield listed, repeated, `all`", "QIDO option includefield"),
    yes("limit and offset with a stable order", "QIDO option limit", "QIDO option offset"),
    yes("fuzzymatching, or a warning", "QIDO option fuzzymatching"),
    Line(
        "emptyvaluematching, multiplevaluematching",
        "no",
        because="refused with 400 and told; lists of UIDs and of modalities are matched without",
    ),
    yes(
        "matching as C-FIND: single, list of UID, wildcard, range, sequence",
        "C-FIND match *",
        "checked sequence matching",
    ),
    Line("combined date and time matching", "no", because="a date and a time are matched each by itself"),
    Line(
        "an unsupported key is ignored with a warning",
        "differs",
        ("QIDO unknown key",),
        "400: a search must not widen silently (decision 0013)",
    ),
    yes("application/dicom+json and multipart application/dicom+xml", "checked xml"),
)
RETRIEVE = (
    yes(
        "study, series, instance; metadata with ETag and 304; bulk values; frames; rendered and thumbnail at each level",
        "GET studies/{study}*",
        "HTTP 304",
    ),
    Line(
        "`/pixeldata`",
        "no",
        because="the address of the pixels is in the metadata (`bulkdata/7FE00010`), as every other bulk value's",
    ),
    Line(
        "volumes (`rendered-mpr`, `rendered-3d`), presentation states", "no", because="optional; the viewer makes them"
    ),
    yes("206 partial, 400, 404, 406", "HTTP 206", "HTTP 400", "HTTP 404", "HTTP 406"),
    Line("413 of a retrieval", "no", because="what is retrieved is streamed, so nothing is too large"),
    Line(
        "410 of what was erased",
        "differs",
        ("HTTP 404",),
        "404: an answer of its own would tell whoever guesses a UID that a person was here (decision 0013)",
    ),
    yes(
        "`Accept` with qualities, wildcards and transfer syntaxes; the `accept` parameter; single part and multipart",
        "rendered accept",
        "QIDO option accept",
        "checked accept",
    ),
    Line(
        "Explicit VR Little Endian where no transfer syntax is named",
        "partly",
        ("frames application/octet-stream",),
        "frames, and instances that are held uncompressed; whole instances that are held compressed leave as they are",
    ),
    Line("compressed frames as image/jpeg, jls, jp2, jphc, dicom-rle", "yes", ("frames image/*",)),
    Line(
        "compressed frames as image/jpx, jxl",
        "no",
        because="they leave as application/octet-stream with their transfer syntax",
    ),
    yes("rendered: jpeg, png and gif; annotation, quality, viewport, window", "rendered *"),
    Line("text/html of reports", "no", because="not done yet: a report leaves as DICOM and metadata"),
    Line(
        "`annotation=patient` only for who may",
        "partly",
        ("rendered annotation",),
        "who may open a study may read its metadata, so no right of its own is asked for",
    ),
    Line(
        "masks of burned-in text applied when drawing",
        "no",
        because="not done yet: nothing is masked, and nothing says it is",
    ),
    yes(
        "bulk values by address in the metadata, with ranges",
        "GET studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}",
        "HTTP 206",
    ),
)
OTHERS = (
    yes("WADO-URI", "WADO-URI *"),
    yes("capabilities (`OPTIONS`)", "OPTIONS"),
    Line("notifications by web socket", "no", because="not done"),
    Line("UPS-RS, worklist service", "no", because="not done: nothing here makes work items"),
    Line("non-patient instances (ch. 12)", "no", because="the archive holds what belongs to a person"),
    yes("storage commitment (ch. 13)", "POST commitment-requests/{transaction}", "commitment answer"),
    Line("`GET` of an earlier commitment", "no", because="the answer comes at once; 404 afterwards"),
    Line(
        "`DELETE`",
        "no",
        because="not in the standard; what goes, goes by retention or by a person's request, and leaves a tombstone (405)",
    ),
    yes("what was erased does not come back", "C-STORE 0124", "reason 0124"),
)
NETWORK = (
    yes("Verification", "SCP Verification"),
    yes("Storage SCP and SCU: all classes, private and unknown ones", "SCP Storage*", "SCU Storage*"),
    yes("the transfer syntax is kept", "syntax *"),
    yes("64 and more presentation contexts", "association contexts"),
    yes(
        "statuses A7xx, A9xx, Cxxx, 0124, 0111",
        "C-STORE A700",
        "C-STORE A900",
        "C-STORE C*",
        "C-STORE 0124",
        "C-STORE 0111",
    ),
    Line(
        "statuses B000, B006, B007, 0117",
        "partly",
        ("C-STORE B000",),
        because="nothing is discarded, and no data set is held against its SOP class; a malformed UID is C000",
    ),
    yes(
        "C-FIND, C-MOVE with counts, C-GET; patient and study root; hierarchical",
        "SCP Patient Root*",
        "SCP Study Root*",
        "C-FIND keys *",
        "C-MOVE and C-GET FF00",
    ),
    Line("relational queries, timezone negotiation", "no", because="not negotiated; a PS3.4 SCP need not"),
    yes("what a peer may not see is filtered inside the SCP", "security decision", "security tenants"),
    Line(
        "Modality Worklist, MPPS", "no", ("not offered 1.2.840.10008.5.1.4.31",), "come later: orders are not kept yet"
    ),
    yes(
        "Storage Commitment: N-ACTION, N-EVENT-REPORT, failure reasons",
        "SCP Storage Commitment*",
        "N-ACTION *",
        "N-EVENT-REPORT *",
    ),
    Line("Instance Availability Notification", "no", because="not done"),
    Line("UPS over DIMSE, repository query, inventories", "no", because="optional, not done"),
    yes("TLS with certificates of both sides", "security TLS", "security certificate"),
    Line(
        "User Identity negotiation",
        "no",
        because="a peer is its certificate; a person's identity is not believed from a machine",
    ),
)

#: Title, source and lines.
PARTS = (
    ("Store (STOW-RS)", "PS3.18 10.5", STORE),
    ("Search (QIDO-RS)", "PS3.18 10.6", SEARCH),
    ("Retrieve (WADO-RS)", "PS3.18 10.4", RETRIEVE),
    ("Other services of DICOMweb", "PS3.18 8, 9, 11 to 13", OTHERS),
    ("DIMSE", "PS3.4, PS3.7, PS3.8, PS3.15", NETWORK),
)

#: Points of the checklist that stand in no table of the statement; tests name them like other facts.
CHECKED = (
    "streaming", "one bad part", "store response", "same again", "returns", "sequence matching", "xml", "accept",
)  # fmt: skip
