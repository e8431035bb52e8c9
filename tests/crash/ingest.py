"""Ingest under load by both doors, with a book of what was acknowledged."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from io import BytesIO

import httpx
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from tests.common.dimse import associate_request, context, data, pdv, store_command, tiny_dataset
from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess
from troth.dicom.specimens import Study, phantom_ct

CANARY = "Zqxkillcanary"  # in every patient's name: must be nowhere on the disk in clear
SLICES = 6
SIZE = 64
STOW_BATCH = 4
_PATIENCE_SECONDS = 3.0  # pynetdicom now and then waits this long on a connection that is gone


@dataclass(frozen=True)
class Specimen:
    """One instance to be sent.

    Attributes:
        file: Part 10, for STOW-RS.
        dataset: The same parsed, for C-STORE.
        digest: SHA-256 of the data set as it is sent by either door.
    """

    instance_uid: str
    study_uid: str
    file: bytes = field(repr=False)
    dataset: Dataset = field(repr=False)
    digest: bytes = field(repr=False)


def specimens(number: int) -> list[Specimen]:
    """A small CT study of its own patient."""
    study = Study(
        f"KILL-{number}", f"{CANARY}^N{number}", date(1970, 1, 1), "F", date(2026, 5, 4), f"K{number}", "Kill",
        seed=number + 1,
    )  # fmt: skip
    made = []
    for file in phantom_ct(study, slices=SLICES, size=SIZE):
        dataset = pydicom.dcmread(BytesIO(file))
        sent = encode(dataset, is_implicit_vr=False, is_little_endian=True)
        assert sent is not None
        assert file.endswith(sent), "both doors must send the same bytes"
        made.append(Specimen(dataset.SOPInstanceUID, dataset.StudyInstanceUID, file, dataset, sha256(sent).digest()))
    return made


class Book:
    """What is to be sent, what was sent, what was acknowledged. For many threads.

    An instance without an answer is sent again after the next start, as a modality does.

    Attributes:
        acked: Instance UID to its specimen: the node said that it holds it.
        refused: What the node answered instead, if it was not a success.
    """

    def __init__(self) -> None:
        self.acked: dict[str, tuple[str, bytes]] = {}
        self.refused: list[str] = []
        self._again: deque[Specimen] = deque()
        self._fresh = self._all()
        self._guard = threading.Lock()
        self.progress = threading.Condition(self._guard)

    def prepare(self, count: int) -> None:
        """Draw so many fresh instances before the clients start, so that the node has the work and not we."""
        with self._guard:
            self._again.extend(next(self._fresh) for _ in range(count - len(self._again)))

    def take(self, count: int = 1) -> list[Specimen]:
        """The next ones to send."""
        with self._guard:
            return [self._again.popleft() if self._again else next(self._fresh) for _ in range(count)]

    def acknowledged(self, sent: list[Specimen]) -> None:
        """The node answered with success."""
        with self._guard:
            self.acked.update({one.instance_uid: (one.study_uid, one.digest) for one in sent})
            self.progress.notify_all()

    def unanswered(self, sent: list[Specimen]) -> None:
        """The connection ended before the answer."""
        with self._guard:
            self._again.extend(sent)

    def not_taken(self, sent: list[Specimen], why: str) -> None:
        """The node refused: never right for these instances."""
        with self._guard:
            self.refused.append(why)
            self._again.extend(sent)

    @staticmethod
    def _all() -> Iterator[Specimen]:
        number = 0
        while True:
            yield from specimens(number)
            number += 1


class Load:
    """Two associations and one STOW-RS client that send until told to stop or the node is gone.

    Beside them an association and a STOW-RS request that stop in the middle of an instance: with others on their way
    commits share a flush of the database instead of waiting for one each, which is what a kill has to find right.
    """

    def __init__(self, node: NodeProcess, access: Access, book: Book) -> None:
        self._ports = dict(node.ports)
        self._access = access
        self._book = book
        self._stop = threading.Event()
        self._before = len(book.acked)
        work: list[Callable[[], None]] = [self._c_store, self._c_store, self._stow]
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]
        self._lingering: list[socket.socket] = []

    def start(self) -> None:
        """Begin to send."""
        self._linger()
        for thread in self._threads:
            thread.start()

    def wait_for_acks(self, count: int, timeout_seconds: float) -> bool:
        """Wait until so many instances were acknowledged since the start; whether it came to that."""
        with self._book.progress:
            return self._book.progress.wait_for(lambda: len(self._book.acked) >= self._before + count, timeout_seconds)

    def end(self) -> None:
        """Stop sending and wait for every client to notice."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs on a dead node"
        for connection in self._lingering:
            connection.close()

    def _linger(self) -> None:
        wanted = associate_request(MODALITY, OUR_AE, context(1, CTImageStorage, [ExplicitVRLittleEndian]))
        half = data(pdv(1, 3, store_command("2.25.1", CTImageStorage))) + data(pdv(1, 0, tiny_dataset("2.25.1")))
        peer = socket.create_connection(("127.0.0.1", self._ports["dicom"]), timeout=60)
        peer.sendall(wanted)
        assert peer.recv(1) == b"\2", "no association"
        peer.sendall(half)
        head = [
            "POST /dicomweb/studies HTTP/1.1",
            f"Host: 127.0.0.1:{self._ports['pages']}",
            "Content-Length: 1000000",
            f"Authorization: Bearer {self._access.storing}",
            'Content-Type: multipart/related; type="application/dicom"; boundary=kill',
            "\r\n",
        ]
        request = socket.create_connection(("127.0.0.1", self._ports["pages"]), timeout=60)
        request.sendall("\r\n".join(head).encode() + multipart([specimens(0)[0].file])[:2_000])
        self._lingering += [peer, request]

    def _c_store(self) -> None:
        ae = AE(MODALITY)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _PATIENCE_SECONDS
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        while not self._stop.is_set():
            association = ae.associate("127.0.0.1", self._ports["dicom"], ae_title=OUR_AE)
            while association.is_established and not self._stop.is_set():
                self._send(association, self._book.take())
            if association.is_established:
                association.release()
        ae.shutdown()

    def _send(self, association: Association, sent: list[Specimen]) -> None:
        try:
            status = association.send_c_store(sent[0].dataset)
        except RuntimeError:  # the association ended before it was sent
            self._book.unanswered(sent)
            return
        if "Status" not in status:
            self._book.unanswered(sent)
        elif status.Status == 0:
            self._book.acknowledged(sent)
        else:
            self._book.not_taken(sent, f"C-STORE {status.Status:04X} {status.get('ErrorComment', '')}")

    def _stow(self) -> None:
        url = f"http://127.0.0.1:{self._ports['pages']}/dicomweb/studies"
        headers = {
            "Authorization": f"Bearer {self._access.storing}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
            "Accept": "application/dicom+json",
        }
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                sent = self._book.take(STOW_BATCH)
                try:
                    answer = client.post(url, content=multipart([one.file for one in sent]), headers=headers)
                except httpx.TransportError:
                    self._book.unanswered(sent)
                    return
                held = referenced(answer) if answer.status_code in (200, 202) else set()
                self._book.acknowledged([one for one in sent if one.instance_uid in held])
                rest = [one for one in sent if one.instance_uid not in held]
                if rest:
                    self._book.not_taken(rest, f"STOW-RS {answer.status_code} {answer.text[:2000]}")


def multipart(files: list[bytes]) -> bytes:
    """The body of a STOW-RS request with the boundary `kill`."""
    parts = [b"--kill\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join([*parts, b"--kill--\r\n"])


def referenced(answer: httpx.Response) -> set[str]:
    items = answer.json().get("00081199", {}).get("Value", [])
    return {item["00081155"]["Value"][0] for item in items}
