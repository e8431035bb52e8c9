"""The DICOMweb door: resources, media types, parameters and statuses."""

from __future__ import annotations

from tools.statement import network
from tools.statement.model import Fact, Table
from troth.archive import attributes, sequences
from troth.archive import errors as archive_errors
from troth.archive import searching as archive_searching
from troth.dicom import errors as bytes_errors
from troth.doors import errors as shared
from troth.doors import taking
from troth.doors.dicomweb import capabilities, committing, errors, rendering, retrieving, searching, stow_metadata
from troth.kit import errors as kit

_SERVICES = (("POST", "commitment", "Storage Commitment, ch. 13"), ("POST", "", "Store (STOW-RS), 10.5"),
             ("GET", "wado", "WADO-URI, ch. 9"))  # fmt: skip
_SEARCHES = {"studies", "series", "instances"}

HTTP_FAULTS: tuple[type[kit.TrothError], ...] = (
    shared.MultipartBroken, errors.PartTooLarge, shared.TooManyParts, shared.MediaTypeUnreadable,
    errors.MediaTypeUnknown, shared.CodingUnknown, errors.NothingAcceptable,
    errors.ParameterInvalid, errors.OriginForeign, errors.RangeUnsatisfiable, archive_errors.SearchKeyUnknown,
    archive_errors.SearchValueInvalid, archive_errors.SearchTooBroad, archive_errors.SearchAmbiguous,
    archive_errors.NoPixels, archive_errors.VideoHasNoFrames,
    archive_errors.NotStoredThatWay, bytes_errors.CannotRender, taking.NotTaken, kit.Unauthenticated, kit.PermitDenied,
)  # fmt: skip
#: Faults of one instance of a STOW-RS message, told as its Failure Reason; those of a part that cannot be read besides.
STOW_FAULTS = (
    *(one for one in network.STORE_FAULTS if one not in (kit.PermitDenied, taking.NotTaken, kit.TrothError)),
    archive_errors.StudyMismatch, shared.UidsDiffer, bytes_errors.SyntaxUnknown, errors.MediaTypeUnknown,
    errors.PartTooLarge, errors.BulkMissing, errors.BulkUnasked, bytes_errors.EncodingUnknown,
)  # fmt: skip


def resources() -> Table:
    """Resources, methods and media types."""
    rows = [
        Fact(
            f"{method} {path}",
            (f"`{method} /{path}`", _service(method, path), "<br>".join(f"`{one}`" for one in types)),
        )
        for path, method, types in capabilities.RESOURCES
    ]
    rows.append(
        Fact(
            "OPTIONS",
            ("`OPTIONS` on each, `GET /`", "Capabilities, 8.9", f"`{capabilities.WADL}`<br>`application/json`"),
        )
    )
    return Table(
        "Resources", ("resource", "service", "media types of the answer"), tuple(rows),
        "Addresses are below `/dicomweb` of the pages' origin and of the viewer's. Any other method is 405.",
    )  # fmt: skip


def _service(method: str, path: str) -> str:
    for verb, begin, name in _SERVICES:
        if method == verb and path.startswith(begin):
            return name
    if path.rsplit("/", 1)[-1] in _SEARCHES:
        return "Search (QIDO-RS), 10.6"
    for end, name in (
        ("metadata", "Retrieve metadata"),
        ("rendered", "Retrieve rendered"),
        ("thumbnail", "Retrieve thumbnail"),
    ):
        if path.endswith(end):
            return f"{name} (WADO-RS), 10.4"
    if "/frames/" in path or "/bulkdata" in path:
        return "Retrieve frames or bulk values (WADO-RS), 10.4"
    return "Retrieve instances (WADO-RS), 10.4"


def taken() -> Table:
    """What STOW-RS takes."""
    rows = [
        ("application/dicom", "one instance as the body"),
        ('multipart/related; type="application/dicom"', "instances as parts, streamed"),
        ('multipart/related; type="application/dicom+json"', "metadata, then bulk values as parts named by "
         "Content-Location"),
        ('multipart/related; type="application/dicom+xml"', "the same in XML"),
        *((f"part {kind}", f"compressed bulk value; without a transfer syntax of its own `{syntax}`")
          for kind, syntax in stow_metadata._SYNTAXES.items()),
    ]  # fmt: skip
    facts = tuple(Fact(f"STOW takes {what}", (f"`{what.removeprefix('part ')}`", how)) for what, how in rows)
    return Table("Store: what is taken", ("media type", "how"), facts)


def frames() -> Table:
    """Media types of frames."""
    kinds: dict[str, list[str]] = {}
    for syntax, kind in retrieving._CODEC_TYPES.items():
        kinds.setdefault(kind, []).append(syntax)
    rows = [
        Fact(
            "frames application/octet-stream",
            (
                "`application/octet-stream`",
                "every transfer syntax that is held; uncompressed where no transfer syntax is asked for",
            ),
        )
    ]
    rows += [
        Fact(f"frames {kind}", (f"`{kind}`", " · ".join(f"`{one}`" for one in held))) for kind, held in kinds.items()
    ]
    streams: dict[str, list[str]] = {}
    for syntax, kind in retrieving._VIDEO_TYPES.items():
        streams.setdefault(kind, []).append(syntax)
    rows += [
        Fact(
            f"bulk {kind}",
            (f"`{kind}`", f"the bulk value of a video, whole or by ranges: {' · '.join(f'`{one}`' for one in held)}"),
        )
        for kind, held in streams.items()
    ]
    return Table(
        "Retrieve: frames", ("media type", "of what is held in"), tuple(rows),
        "Where no transfer syntax is asked for, it is Explicit VR Little Endian (8.7.3.5.2): frames are unpacked, "
        "and instances that are held in Implicit VR or big endian are written so. `*`, and the one that is held, get "
        "what is held. Whole instances that are held compressed leave as they are and say so, not unpacked, and "
        "another transfer syntax of them is 406.",
    )  # fmt: skip


def search_keys() -> Table:
    """Keys of QIDO-RS by level."""
    rows = []
    for level in attributes.LEVELS:
        tags = sorted(attributes._CLEAR[level] | attributes._SEALED[level])
        told = []
        for tag in tags:
            name = attributes.keyword_of(tag)
            if tag in sequences.KEPT:
                name += " {" + ", ".join(attributes.keyword_of(one) for one in sorted(sequences.KEPT[tag])) + "}"
            told.append(name)
        rows.append(Fact(f"QIDO keys {level}", (level, ", ".join(told))))
    return Table(
        "Search: keys that are matched and returned", ("level", "attributes"), tuple(rows),
        "Matched at their level and below it, returned at it; each result carries RetrieveURL. An attribute is named "
        "by keyword, by tag, or by a path into a sequence (`RequestAttributesSequence.ScheduledProcedureStepID`). "
        "Matching is that of C-FIND, with sequence matching besides.",
    )  # fmt: skip


def search_options() -> Table:
    """Parameters of QIDO-RS."""
    rows = {
        "limit": f"1 to {searching._MOST:,}; {searching._USUAL_LIMIT:,} where nothing is said; more results are told "
        "by `Warning: 299`",
        "offset": f"up to {archive_searching.MOST_OFFSET:,}; the order is stable",
        "fuzzymatching": "names with one letter missing, too many, another, or two exchanged; of a pattern: literal "
        "matching and `Warning: 299`",
        "includefield": "attributes that are kept, listed or repeated, or `all`; of others `Warning: 299`",
        "accept": "before the header of the same name",
    }
    kept = ", ".join(attributes.keyword_of(tag) for tag in sorted(attributes.RETURNED_TAGS))
    rows["includefield"] += f"; of instances also {kept}, which are no keys"
    told = [Fact(f"QIDO option {name}", (f"`{name}`", rows[name])) for name in sorted(searching._OPTIONS)]
    told += [
        Fact(f"QIDO option {name}", (f"`{name}`", "`true` is refused with 400")) for name in sorted(searching._STRICT)
    ]
    told.append(
        Fact("QIDO moment", ("StudyDate and StudyTime, both as ranges", "together: from the first moment to the last "
                             "(PS3.4 C.2.2.2.5); over DIMSE, where that is not negotiated, each for itself"))
    )  # fmt: skip
    told.append(
        Fact("QIDO unknown key", ("anything else", "400, and nothing is searched. PS3.18 8.3.4.1 would have it "
                                  "ignored: a search must not widen silently"))
    )  # fmt: skip
    return Table("Search: parameters", ("parameter", "what it does"), tuple(told))


def drawn() -> Table:
    """Parameters of rendered and thumbnail."""
    rows = (
        ("accept", "before the header of the same name"),
        ("annotation", " and ".join(f"`{one}`" for one in sorted(rendering._ANNOTATIONS))),
        ("quality", "1 to 100, of JPEG; 90 where nothing is said"),
        ("viewport", f"`width,height[,left,top,width,height]`, up to {rendering._MOST_PIXELS:,} each way"),
        ("window", "`centre,width[,function]`: " + ", ".join(f"`{one}`" for one in sorted(rendering._FUNCTIONS))),
        (
            "iccprofile",
            ", ".join(f"`{one}`" for one in sorted(rendering._PROFILES)) + "; grey and sRGB is what is drawn",
        ),
    )
    return Table(
        "Retrieve: rendered", ("parameter", "values"),
        tuple(Fact(f"rendered {name}", (f"`{name}`", how)) for name, how in rows),
        "`image/jpeg` where nothing is asked for, `image/png`, `image/gif` (several frames move), and each as parts of "
        "a multipart message. Thumbnails fit into 128 × 128.",
    )  # fmt: skip


def wado_uri() -> Table:
    """Parameters of WADO-URI."""
    rows = (
        ("contentType", "`image/jpeg`, `image/png`, `image/gif`, `application/dicom`"),
        (
            "frameNumber, windowCenter, windowWidth, rows, columns, region, imageQuality, annotation",
            "as ch. 9 has them",
        ),
        ("transferSyntax", "the one that is held; another one is 406"),
        ("anonymize, presentationUID, presentationSeriesUID", "refused with 400; never ignored"),
    )
    return Table(
        "WADO-URI", ("parameter", "what it does"),
        tuple(Fact(f"WADO-URI {name}", (", ".join(f"`{one}`" for one in name.split(", ")), how)) for name, how in rows),
    )  # fmt: skip


def statuses() -> Table:
    """HTTP statuses."""
    faulty: dict[int, list[str]] = {}
    for one in HTTP_FAULTS:
        faulty.setdefault(one.http_status, []).append(one.title)
    good = {
        200: "done; STOW-RS: all instances are durable",
        202: "STOW-RS: some are, the answer says which are not; or all are, and the answer says what was coerced",
        204: "Search: nothing was found",
        206: "a range of a bulk value",
        304: "metadata that the client has already (`If-None-Match`)",
        405: "another method",
        409: "STOW-RS: none was stored, the answer says why",
    }
    told = good | {code: " · ".join(dict.fromkeys(titles)) for code, titles in faulty.items()}
    rows = tuple(Fact(f"HTTP {code}", (str(code), told[code])) for code in sorted(told))
    return Table(
        "Statuses", ("status", "meaning"), rows,
        "**Deviation, on purpose.** What was erased is 404, not 410 (8.5): an answer of its own would tell whoever "
        "guesses a UID that a person was here. \"Not there\", \"not yours\" and \"erased\" are the same bytes.",
    )  # fmt: skip


def reasons() -> Table:
    """Failure reasons of STOW-RS."""
    rows = network.by_status(STOW_FAULTS)
    return Table(
        "Store: failure reasons (0008,1197)", ("reason", "meaning"),
        tuple(Fact(f"reason {code:04X}", (f"{code:04X}", meaning)) for code, meaning in rows),
        "In Failed SOP Sequence (0008,1198) wherever class and instance can be read, else in Other Failures Sequence "
        "(0008,119A). The same bytes again are success; other bytes under the same SOP Instance UID are 0111, and "
        "nothing is overwritten. What is refused with 0111, C110 or C111 may be kept apart for a person to resolve: a "
        "header Warning: 299 says so (docs/decisions/0017-quarantine.md). The same holds for C-STORE, which says so in "
        "Error Comment.",
    )  # fmt: skip


def warnings() -> Table:
    """Warning reasons of STOW-RS."""
    return Table(
        "Store: warning reasons (0008,1196)", ("reason", "meaning"),
        (Fact(f"warning {taking.COERCED:04X}", (f"{taking.COERCED:04X}", "Coercion of Data Elements")),),
        "In Referenced SOP Sequence (0008,1199): the instance is stored. What comes for a study that was corrected is "
        "coerced to it; nothing else is coerced. The same bytes again get the same warning.",
    )  # fmt: skip


def commitment() -> Table:
    """Storage commitment by the web."""
    rows = (
        ("answer", "at once (200), after each instance was read back; `GET` of an earlier answer is 404"),
        ("bounds", f"{committing._MOST_ITEMS:,} instances, {committing._MOST_BYTES >> 20} MiB"),
        ("failure reasons", "those of N-EVENT-REPORT"),
    )
    return Table(
        "Storage commitment", ("what", "how"),
        tuple(Fact(f"commitment {what}", (what, how)) for what, how in rows),
    )  # fmt: skip
