"""Subjects: found by their identifier, or made with keys of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, HasTenant, Row, Space
from troth.people import merges_store, names, store
from troth.people.errors import SubjectAmbiguous, SubjectNotFound
from troth.people.model import (
    Demographics,
    Organisation,
    PatientKey,
    Subject,
    demographics_from_bytes,
    demographics_to_bytes,
)
from troth.people.owner import subject_context
from troth.people.room import Room
from troth.vault import KeyRef

_ATTEMPTS = 3


class Subjects(Room):
    """The part of `People` that knows data subjects."""

    async def ensure_subject(self, tenant: UUID, key: PatientKey, demographics: Demographics) -> Subject:
        """Find the subject of an identifier, or make it, in a transaction of its own; also where it is merged.

        Call this before opening the transaction that stores for the subject: keys are then never made, nor waited
        for, inside it.

        Args:
            tenant: The organisation. The same identifier in another one is another subject.
            key: PatientID and issuer.
            demographics: Kept if the subject is new; else what is held stays.

        Raises:
            SubjectAmbiguous: The identifier shares its token with a different one.
        """
        return await self._find_or_make(lambda: self._db.transaction(Space(tenant)), tenant, key, demographics)

    async def subject_for(
        self, connection: Connection, tenant: UUID, key: PatientKey, demographics: Demographics
    ) -> Subject:
        """The same as `ensure_subject`, inside a transaction that is open in the tenant's space.

        For a subject that is there already this is one statement. If the caller rolls back, the keys of a new
        subject stay behind unused; they seal nothing.

        Raises:
            SubjectAmbiguous: The identifier shares its token with a different one.
        """
        await self._learn_organisation(connection, tenant)
        return await self._find_or_make(lambda: nullcontext(connection), tenant, key, demographics)

    async def find_subject(self, scope: HasTenant, key: PatientKey) -> Subject | None:
        """The subject of an identifier in the scope's organisation, if there is one; of a merged one, the survivor.

        Args:
            scope: A permit of that organisation.
            key: PatientID and issuer; an empty PatientID finds nobody.
        """
        patient = key.trimmed()
        if scope.tenant is None or not patient.patient_id:
            return None
        tokens = self._tokens(await self.organisation(scope.tenant), patient, Demographics())
        async with self._db.transaction(scope) as connection:
            found = await self._find(connection, tokens, patient)
            if found is None:
                return None
            surviving_id = await merges_store.surviving(connection, found.id)
            return found if surviving_id == found.id else await self._subject_in(connection, surviving_id)

    async def subject(self, scope: HasTenant, subject_id: UUID) -> Subject:
        """A subject with demographics.

        Args:
            scope: A permit, or an actor, of the subject's organisation.
            subject_id: Our id.

        Raises:
            SubjectNotFound: Not there, or in another organisation.
            KeyDestroyed: The subject was erased.
        """
        if scope.tenant is None:
            raise SubjectNotFound
        async with self._db.transaction(scope) as connection:
            return await self._subject_in(connection, subject_id)

    async def put_right(
        self, connection: Connection, subject_id: UUID, before: Demographics, after: Demographics
    ) -> bool:
        """Correct what is held of a subject where it is what was wrong (GDPR Art. 16); the rest stays.

        Args:
            connection: A transaction in the subject's space; the caller's own entry tells the ledger.
            subject_id: Our id.
            before: What was wrong.
            after: What is right.

        Returns:
            Whether anything was.

        Raises:
            SubjectNotFound: Not there, or in another organisation.
            KeyDestroyed: The subject was erased.
        """
        subject = await self._subject_in(connection, subject_id)
        held = subject.demographics
        right = Demographics(
            after.name if held.name == before.name else held.name,
            after.birth_date if held.birth_date == before.birth_date else held.birth_date,
            after.sex if held.sex == before.sex else held.sex,
        )
        if right == held:
            return False
        plain = demographics_to_bytes(subject.patient, right)
        sealed = self._keyring.seal(subject.key, plain, subject_context(subject.tenant, subject.id))
        await store.put_demographics(connection, subject.id, sealed)
        return True

    async def _find_or_make(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Connection]],
        tenant: UUID,
        key: PatientKey,
        demographics: Demographics,
    ) -> Subject:
        organisation = await self.organisation(tenant)
        patient = key.trimmed()
        tokens = self._tokens(organisation, patient, demographics)
        for _ in range(_ATTEMPTS):
            async with transaction() as connection:
                found = await self._find(connection, tokens, patient)
            if found is not None:
                return found
            keys = await self._subject_keys(organisation)
            is_ours = False
            try:
                async with transaction() as connection:
                    made, is_ours = await self._insert(connection, organisation, tokens, keys, patient, demographics)
            finally:
                # Somebody else made the subject meanwhile: it is found in the next round, with its own keys.
                if not is_ours:
                    await self._destroy(keys)
            if is_ours:
                return made
        raise SubjectAmbiguous

    async def _subject_in(self, connection: Connection, subject_id: UUID) -> Subject:
        row = await store.subject(connection, subject_id)
        if row is None:
            raise SubjectNotFound
        return self._opened(row)

    async def _find(self, connection: Connection, tokens: tuple[int, int], patient: PatientKey) -> Subject | None:
        row = await store.subject_by_tokens(connection, *tokens)
        if row is None:
            return None
        found = self._opened(row)
        if found.patient != patient:
            raise SubjectAmbiguous
        return found

    async def _insert(
        self,
        connection: Connection,
        organisation: Organisation,
        tokens: tuple[int, int],
        keys: list[KeyRef],
        patient: PatientKey,
        demographics: Demographics,
    ) -> tuple[Subject, bool]:
        made = Subject(ids.uuid7(), organisation.id, keys[0], keys[1], patient, demographics)
        plain = demographics_to_bytes(patient, demographics)
        values = {
            "tenant": made.tenant,
            "id": made.id,
            "key": made.key,
            "audit_key": made.audit_key,
            "patient_token": tokens[0],
            "issuer_token": tokens[1],
            "likeness_token": self._likeness(organisation, demographics),
            "demographics_sealed": self._keyring.seal(made.key, plain, subject_context(made.tenant, made.id)),
            "made_at": clock.now(),
        }
        return made, await store.insert_subject(connection, values)

    async def _subject_keys(self, organisation: Organisation) -> list[KeyRef]:
        # Siblings under the tenant: erasing the subject leaves the access list readable for its own retention.
        return await self._new_keys([organisation.key, organisation.key])

    def _tokens(self, organisation: Organisation, patient: PatientKey, demographics: Demographics) -> tuple[int, int]:
        issuer = self._keyring.token(organisation.key, "issuer", patient.issuer)
        if patient.patient_id:
            return self._keyring.token(organisation.key, "patient_id", patient.patient_id), issuer
        # PatientID may be empty (DICOM type 2); all who have none are not one human being.
        described = demographics_to_bytes(patient, demographics).decode()
        return self._keyring.token(organisation.key, "patient_without_id", described), issuer

    def _likeness(self, organisation: Organisation, demographics: Demographics) -> int:
        """What subjects are compared by that may be one human being: name and birth date; 0 where one is missing."""
        name, born = names.likeness(demographics.name), demographics.birth_date
        if not name or born is None:
            return 0
        return self._keyring.token(organisation.key, "likeness", f"{name}\0{born.isoformat()}")

    def _opened(self, row: Row) -> Subject:
        key = KeyRef(row["key"])
        plain = self._keyring.unseal(key, row["demographics_sealed"], subject_context(row["tenant"], row["id"]))
        patient, demographics = demographics_from_bytes(plain)
        return Subject(row["id"], row["tenant"], key, KeyRef(row["audit_key"]), patient, demographics)
