"""One batch of instances on its way into the index: what is taken, what was here already, what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from troth import policy
from troth.archive import attributes as tags
from troth.archive import errors, sealing, searching, sequences
from troth.archive.arriving import Gain, Item, Rows, Study
from troth.archive.matching import parsed_day
from troth.archive.model import NO_DATE, Outcome, Row
from troth.archive.row_values import as_bytea, instance_row, modality_of, number_of
from troth.archive.sealing import InstanceSecrets
from troth.archive.telling import MOST_UIDS_TOLD
from troth.dicom import Header
from troth.kit import ids
from troth.ledger import Entry
from troth.people import Demographics, PatientKey
from troth.policy import Clear, Permit, refs
from troth.vault import KeyRef, Keyring, SealBroken


def patient_key(study_uid: str, values: Mapping[int, str]) -> PatientKey:
    """Whose images these are. Without a PatientID nothing says that two studies are of the same subject.

    Args:
        study_uid: StudyInstanceUID.
        values: Attributes of the study.
    """
    patient_id = values.get(tags.PATIENT_ID, "").strip()
    if not patient_id:
        return PatientKey("", f"study:{study_uid}")
    return PatientKey(patient_id, values.get(tags.ISSUER, "").strip())


def patient_token(keyring: Keyring, organisation_key: KeyRef, patient: PatientKey) -> int:
    """The token by which a study knows whose it is."""
    return keyring.token(organisation_key, "archive.patient", f"{patient.patient_id}\0{patient.issuer}")


def demographics(values: Mapping[int, str]) -> Demographics:
    """Who the subject is, as an instance or a study says it."""
    born = parsed_day(values.get(tags.BIRTH_DATE, ""))
    return Demographics(values.get(tags.PATIENT_NAME, ""), born, values.get(tags.SEX, ""))


def mark(keyring: Keyring, organisation_key: KeyRef, study_uid: str) -> bytes:
    """The digest by which a study is known after its erasure, whoever's it is said to be."""
    return keyring.digest(organisation_key, "archive.study", study_uid)


def tombstones(keyring: Keyring, organisation_key: KeyRef, study_uid: str, patient: PatientKey) -> tuple[bytes, bytes]:
    """Digests under which the erasure of a study is remembered: by its UID, and by UID and patient."""
    return (
        mark(keyring, organisation_key, study_uid),
        keyring.digest(organisation_key, "archive.study-of", f"{study_uid}\0{patient.patient_id}\0{patient.issuer}"),
    )


class Batch:
    """Decides and describes one batch. Pure but for the keyring; made anew from what is held at each attempt.

    Args:
        keyring: Seals and tokenises.
        organisation_key: The tenant's key.
        items: The instances; their outcomes are set here.
    """

    def __init__(self, keyring: Keyring, organisation_key: KeyRef, items: Sequence[Item]) -> None:
        self._keyring = keyring
        self._organisation_key = organisation_key
        self.items = items
        self._studies: dict[str, Study] = {}
        self._series: dict[str, tuple[UUID, str]] = {}
        self._new_series: dict[str, Item] = {}
        self.new_studies: dict[str, Item] = {}
        self.accepted: list[Item] = []
        marks: dict[tuple[str, PatientKey], tuple[int, tuple[bytes, ...]]] = {}
        for item in items:
            study_uid = item.header.study_uid
            patient = patient_key(study_uid, item.header.values)
            if (study_uid, patient) not in marks:  # a batch is mostly of one study
                marks[study_uid, patient] = (
                    patient_token(keyring, organisation_key, patient),
                    tombstones(keyring, organisation_key, study_uid, patient),
                )
            item.patient_token, item.digests = marks[study_uid, patient]

    def wanted(self) -> dict[str, list[Any]]:
        """What to look up before deciding."""
        headers = [item.header for item in self.items]
        return {
            "studies": sorted({header.study_uid for header in headers}),
            "series": sorted({header.series_uid for header in headers}),
            "instances": sorted({header.instance_uid for header in headers}),
            "digests": sorted({digest for item in self.items for digest in item.digests}),
        }

    def decide(self, held: Mapping[str, Sequence[Row]], prepared: Mapping[str, Study]) -> None:
        """Set the outcome of every item.

        Args:
            held: What is there already.
            prepared: New studies whose keys exist.
        """
        self._studies = {
            row["study_uid"]: Study(
                row["id"],
                row["subject_id"],
                row["key"],
                row["audit_key"],
                row["patient_key_token"],
                is_new=False,
                corrected_token=row["corrected_key_token"],
                corrections=row["corrections"],
                standing_sealed=row["standing_sealed"],
            )
            for row in held["studies"]
        }
        erasing = {row["study_uid"] for row in held["studies"] if row["state"] != "held"}
        erased = {bytes(row["digest"]) for row in held["tombstones"]}
        self._series = {row["series_uid"]: (row["id"], row["study_uid"]) for row in held["series"]}
        self._new_series, self.new_studies, self.accepted = {}, {}, []
        here = {row["instance_uid"]: row for row in held["instances"]}
        taken: dict[str, Item] = {}
        for item in self.items:
            header = item.header
            if header.study_uid in erasing or not erased.isdisjoint(item.digests):
                error: errors.InstanceRefused | None = errors.WasErased()
            else:
                error = self._conflict(item, prepared)
            known, twin = here.get(header.instance_uid), taken.get(header.instance_uid)
            item.mends, item.is_named = None, False
            if error is None and (known is not None or twin is not None):
                is_same = self._is_held(item, known) if known is not None else _is_same(item, twin)
                error = None if is_same else errors.DuplicateDiffers()
                item.outcome = outcome_of(header, "refused" if error else "already_held", error)
                item.mends = known if is_same and known is not None and known["is_broken"] else None
            elif error is None:
                self._accept(item, prepared)
                taken[header.instance_uid] = item
            else:
                item.outcome = outcome_of(header, "refused", error)

    @property
    def is_any_refused(self) -> bool:
        """Whether something of it cannot be taken."""
        return any(item.is_refused for item in self.items)

    def of_corrected(self) -> list[tuple[Item, Study]]:
        """Instances of studies that were corrected, with their studies: those accepted, and those held already."""
        pairs = ((item, self._studies.get(item.header.study_uid)) for item in self.items)
        return [
            (item, study)
            for item, study in pairs
            if study is not None and study.standing_sealed is not None and not item.is_refused
        ]

    def refuse(self, item: Item, error: errors.InstanceRefused) -> None:
        """Refuse an instance that was accepted; what it would have begun, another one of its series begins, if any.

        Args:
            item: Of a study that is held.
            error: Why.
        """
        item.outcome, item.is_named = outcome_of(item.header, "refused", error), False
        self.accepted.remove(item)
        uid = item.header.series_uid
        if self._new_series.get(uid) is item:
            other = next((one for one in self.accepted if one.header.series_uid == uid), None)
            if other is not None:
                self._new_series[uid] = other
            else:
                del self._new_series[uid], self._series[uid]

    def rows(self, prepared: Mapping[str, Study], at: datetime) -> Rows:
        """What was accepted, for the one SQL function that writes it.

        Args:
            prepared: New studies by UID.
            at: When it is stored.
        """
        studies = self._studies | dict(prepared)
        gains = self._gains(studies)
        made: dict[str, Any] | None = None
        if self.new_studies or self._new_series:
            tokens = self._tokens(studies)
            made = {
                "studies": [self._study_row(self.new_studies[uid], studies[uid]) for uid in sorted(self.new_studies)],
                "series": [self._series_row(uid, self._new_series[uid], studies) for uid in sorted(self._new_series)],
                "tokens": [sorted(tokens.get(gain.study_id, ())) for gain in gains],
            }
        return Rows(
            at=at,
            digests={digest for item in self.accepted for digest in item.digests},
            made=made,
            gains=gains,
            series=Counter(self._series[item.header.series_uid][0] for item in self.accepted),
            instances=[
                self._instance_row(item, studies)
                for item in sorted(self.accepted, key=lambda item: item.header.instance_uid)
            ],
        )

    def known(self, prepared: Mapping[str, Study]) -> tuple[list[Row], list[Row]]:
        """Studies and series of this batch as `store.held` would give them now.

        Args:
            prepared: New studies by UID.
        """
        studies = self._studies | {uid: prepared[uid] for uid in self.new_studies}
        touched = {item.header.study_uid for item in self.accepted}
        study_rows: list[Row] = [
            {
                "id": study.id,
                "study_uid": uid,
                "key": study.key,
                "audit_key": study.audit_key,
                "subject_id": study.subject_id,
                "state": "held",
                "patient_key_token": study.patient_token,
                "corrected_key_token": study.corrected_token,
                "corrections": study.corrections,
                "standing_sealed": study.standing_sealed,
            }
            for uid, study in studies.items()
            if uid in touched
        ]
        series_rows: list[Row] = [
            {"id": series_id, "study_uid": study_uid, "series_uid": uid}
            for uid, (series_id, study_uid) in self._series.items()
            if study_uid in touched
        ]
        return study_rows, series_rows

    @property
    def in_conflict(self) -> list[Item]:
        """Items that contradict what is held: each is written about when it is known whether it is kept apart."""
        return [item for item in self.items if item.is_in_conflict]

    def study_of(self, item: Item) -> Study | None:
        """The study that holds the UID of an item's study already."""
        return self._studies.get(item.header.study_uid)

    def entries(self, prepared: Mapping[str, Study], items: Sequence[Item] | None = None) -> list[Entry]:
        """What the ledger is told: one entry per permit, study and kind of outcome.

        Args:
            prepared: New studies by UID.
            items: Only of these; None for all that are not in conflict.
        """
        groups: dict[tuple[UUID, str, str, bool], list[Item]] = {}
        for item in self.items if items is None else items:
            outcome = item.outcome
            if items is None and item.is_in_conflict:
                continue
            if outcome is None or outcome.state != "already_held":
                slug = outcome.error.slug if outcome is not None and outcome.error is not None else ""
                key = (item.permit.decision_id, item.header.study_uid, slug, item.is_named)
                groups.setdefault(key, []).append(item)
        studies = self._studies | dict(prepared)
        return [self._entry(group, studies.get(uid)) for (_, uid, _, _), group in groups.items()]

    def _conflict(self, item: Item, prepared: Mapping[str, Study]) -> errors.InstanceRefused | None:
        header = item.header
        study = self._studies.get(header.study_uid)
        first = self.new_studies.get(header.study_uid)
        token = study.patient_token if study else first.patient_token if first else item.patient_token
        if item.patient_token not in (token, study.corrected_token if study else None):
            return errors.OtherPatient()
        series = self._series.get(header.series_uid)
        if series is not None and series[1] != header.study_uid:
            return errors.OtherStudy()
        return None

    def _accept(self, item: Item, prepared: Mapping[str, Study]) -> None:
        header = item.header
        if header.study_uid not in self._studies:
            self.new_studies.setdefault(header.study_uid, item)
        if header.series_uid not in self._series:
            self._series[header.series_uid] = (ids.uuid7(), header.study_uid)
            self._new_series[header.series_uid] = item
        item.outcome, item.is_named = outcome_of(header, "stored"), True
        self.accepted.append(item)

    def _is_held(self, item: Item, row: Row) -> bool:
        """Whether the instance that is held has the same bytes."""
        locators = [row[name] for name in ("head_locator", "bulk_locator") if row[name] is not None]
        try:
            there = sealing.open_instance(self._keyring, row["key"], row["id"], locators, row["sealed"])
        except SealBroken:
            return False  # nobody can say what it was: a person decides what takes its place
        return there.is_same_as(InstanceSecrets.of(item.received, {}))

    def _study_row(self, item: Item, study: Study) -> dict[str, Any]:
        header = item.header
        values = tags.picked(header.values, tags.STUDY_TAGS) | sequences.picked(header.nested, tags.STUDY_TAGS)
        return {
            "id": str(study.id),
            "study_uid": header.study_uid,
            "subject_id": str(study.subject_id),
            "key": as_bytea(study.key),
            "audit_key": as_bytea(study.audit_key),
            "study_date": (parsed_day(values.get(tags.STUDY_DATE, "")) or NO_DATE).isoformat(),
            "patient_key_token": item.patient_token,
            "sealed": as_bytea(sealing.seal_values(self._keyring, study.key, "study", study.id, values)),
            **searching.equality_tokens(values, self._token),
        }

    def _series_row(self, uid: str, item: Item, studies: Mapping[str, Study]) -> dict[str, Any]:
        study, series_id = studies[item.header.study_uid], self._series[uid][0]
        header = item.header
        values = tags.picked(header.values, tags.SERIES_TAGS) | sequences.picked(header.nested, tags.SERIES_TAGS)
        return {
            "id": str(series_id),
            "study_id": str(study.id),
            "series_uid": uid,
            "modality": modality_of(item.header),
            "number": number_of(values.get(tags.SERIES_NUMBER, "")),
            "sealed": as_bytea(sealing.seal_values(self._keyring, study.key, "series", series_id, values)),
        }

    def _instance_row(self, item: Item, studies: Mapping[str, Study]) -> dict[str, Any]:
        sent = item.received if item.coerced is not None else None
        row = instance_row(self._keyring, studies[item.header.study_uid].key, item.kept, ids.uuid7(), sent)
        row["series_id"] = str(self._series[item.header.series_uid][0])
        return row

    def _tokens(self, studies: Mapping[str, Study]) -> dict[UUID, set[int]]:
        """Search tokens that are new, by study."""
        found: dict[UUID, set[int]] = {}
        for uid, item in self.new_studies.items():
            values = tags.picked(item.header.values, tags.STUDY_TAGS)
            found[studies[uid].id] = {self._token(*term) for term in searching.terms_of_study(values)}
        for item in self._new_series.values():
            modality = modality_of(item.header)
            if modality:
                token = self._token(*searching.modality_term(modality))
                found.setdefault(studies[item.header.study_uid].id, set()).add(token)
        return found

    def _gains(self, studies: Mapping[str, Study]) -> list[Gain]:
        """What each study gains, in the order of their ids: two batches never wait for each other in a circle."""
        groups: dict[str, list[Item]] = {}
        for item in self.accepted:
            groups.setdefault(item.header.study_uid, []).append(item)
        new_series = Counter(item.header.study_uid for item in self._new_series.values())
        gains = [
            Gain(
                studies[uid].id,
                new_series[uid],
                len(items),
                sum(map(_length_bytes, items)),
                ",".join(sorted({modality_of(item.header) for item in items} - {""})),
                ",".join(sorted({item.header.sop_class for item in items})),
                studies[uid].corrections,
            )
            for uid, items in groups.items()
        ]
        return sorted(gains)

    def _entry(self, items: Sequence[Item], study: Study | None) -> Entry:
        permit, outcome = items[0].permit, items[0].outcome
        error = outcome.error if outcome is not None else None
        if isinstance(error, errors.OtherPatient):
            study = None  # the study that is held is somebody else's life
        if error is None:
            kind = "archive:instances:stored"
        elif isinstance(error, errors.WasErased):
            kind, study = "archive:study:refused_tombstone", None
        else:
            kind = "archive:instance:quarantined" if items[0].is_named else "archive:instance:refused"
        values = items[0].header.values
        payload: dict[str, Any] = {
            "study_uid": items[0].header.study_uid,
            "came_by": _came_by(permit),
        }
        if error is None:
            payload["study_description"] = values.get(tags.DESCRIPTION, "")
            payload["study_date"] = values.get(tags.STUDY_DATE, "")
        else:
            payload["reason"] = error.slug
            payload["instance_uids"] = [item.header.instance_uid for item in items[:MOST_UIDS_TOLD]]
        region = permit.moment.region if permit.moment is not None else ""
        return policy.entry(
            permit,
            kind,
            key=study.audit_key if study else self._organisation_key,
            payload=payload,
            subject_id=study.subject_id if study else None,
            study_id=study.id if study else None,
            outcome="refused" if error else "done",
            clear=Clear(
                refs=refs(peer=permit.actor.id if permit.actor.kind == "peer" else None),
                says={"way": payload["came_by"]}
                | ({"reason": error.slug} if error else {})
                | ({"region": region} if region else {}),
            ),
            counts={"instances": len(items), "bytes": sum(map(_length_bytes, items))} | _coerced(items),
        )

    def _token(self, kind: str, value: str) -> int:
        return self._keyring.token(self._organisation_key, kind, value)


def _came_by(permit: Permit) -> str:
    if permit.action == "resolve":
        return "quarantine"
    # Only an association has an actor without a session: what came came over the DICOM network.
    return "C-STORE" if permit.actor.session_id is None else "STOW-RS"


def outcome_of(header: Header, state: Any, error: errors.InstanceRefused | None = None) -> Outcome:
    """The outcome of one instance."""
    return Outcome(
        instance_uid=header.instance_uid,
        sop_class=header.sop_class,
        study_uid=header.study_uid,
        series_uid=header.series_uid,
        state=state,
        reason=error.dimse_status if error else 0,
        error=error,
    )


def _is_same(item: Item, twin: Item | None) -> bool:
    return twin is not None and InstanceSecrets.of(item.received, {}).is_same_as(InstanceSecrets.of(twin.received, {}))


def _coerced(items: Sequence[Item]) -> dict[str, int]:
    number = sum(1 for item in items if item.coerced is not None)
    return {"coerced": number} if number else {}


def _length_bytes(item: Item) -> int:
    bulk = item.kept.bulk
    return item.kept.head.length_bytes + (bulk.length_bytes if bulk else 0)
