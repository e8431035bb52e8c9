"""What listeners, durable work and the command line can do for the clauses of a notice."""

from __future__ import annotations

from typing import Final

from troth.notice import Serves

LISTENERS: Final = (
    Serves("take", "device", "listener:DICOM"),
    Serves("take", "controller", "listener:DICOMweb"),
    Serves("act", "echo", "listener:DICOM"),
    Serves("act", "store", "listener:DICOM"),
    Serves("act", "query", "listener:DICOMweb"),
    Serves("act", "retrieve", "listener:viewer"),
    Serves("act", "follow", "listener:REST"),
)

JOBS: Final = (
    Serves("right", "access:acknowledge", "job:rights.fulfil"),
    Serves("right", "access:decide", "job:rights.fulfil"),
    Serves("right", "access:answer", "job:rights.fulfil"),
    Serves("right", "erase:acknowledge", "job:rights.fulfil"),
    Serves("right", "erase:decide", "job:rights.fulfil"),
    Serves("right", "erase:answer", "job:rights.fulfil"),
    Serves("act", "erase", "job:rights.fulfil"),
    Serves("act", "propose", "job:lifecycle.look_for_unused"),
    Serves("dispose", "unused_account", "job:lifecycle.look_for_unused"),
    Serves("dispose", "contacts_under_contract", "job:lifecycle.dispose"),
    Serves("tell", "mailed", "job:outreach.tell"),
    Serves("tell", "source", "job:outreach.introduce"),
)

COMMANDS: Final = (
    Serves("act", "administer", "command:admin organisation add"),
    Serves("act", "add_user", "command:admin user add"),
    Serves("act", "add_peer", "command:admin peer add"),
    Serves("level", "set", "command:admin organisation level"),
    Serves("claim", "operates_service", "command:serve"),
)
