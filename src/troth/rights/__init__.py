"""Requests of data subjects: taken, acknowledged, decided item by item, done and read back, answered."""

from troth.rights.accounts import Accounts, OwnAccount
from troth.rights.errors import (
    CopyDiffers,
    CopyNotReady,
    CopyOutdated,
    NotErased,
    NothingChosen,
    QuestionTooLong,
    RequestNotFound,
    RightUnknown,
    WrongPermit,
)
from troth.rights.known import WORDS as WORDS_OF_KNOWN
from troth.rights.known import Known, apart
from troth.rights.ledger_json import NAME as LIST_NAME
from troth.rights.ledger_json import VERIFIER_NAME, script, verifier
from troth.rights.list_file import take_list
from troth.rights.model import Item, Outcome, Right, RightsRequest, SignedCertificate, State, Step
from troth.rights.service import Rights
from troth.rights.workflows import Fulfilment

__all__ = [
    "LIST_NAME",
    "VERIFIER_NAME",
    "WORDS_OF_KNOWN",
    "Accounts",
    "CopyDiffers",
    "CopyNotReady",
    "CopyOutdated",
    "Fulfilment",
    "Item",
    "Known",
    "NotErased",
    "NothingChosen",
    "Outcome",
    "OwnAccount",
    "QuestionTooLong",
    "RequestNotFound",
    "Right",
    "RightUnknown",
    "Rights",
    "RightsRequest",
    "SignedCertificate",
    "State",
    "Step",
    "WrongPermit",
    "apart",
    "script",
    "take_list",
    "verifier",
]
