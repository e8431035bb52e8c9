"""Requests of data subjects: taken, acknowledged, decided item by item, done and read back, answered."""

from troth.rights.errors import (
    CopyDiffers,
    CopyNotReady,
    CopyOutdated,
    NotErased,
    NothingChosen,
    RequestNotFound,
    RightUnknown,
    WrongPermit,
)
from troth.rights.model import Item, Outcome, Right, RightsRequest, State, Step
from troth.rights.service import SERVED, Rights, SignedCertificate
from troth.rights.workflows import Fulfilment

__all__ = [
    "SERVED",
    "CopyDiffers",
    "CopyNotReady",
    "CopyOutdated",
    "Fulfilment",
    "Item",
    "NotErased",
    "NothingChosen",
    "Outcome",
    "RequestNotFound",
    "Right",
    "RightUnknown",
    "Rights",
    "RightsRequest",
    "SignedCertificate",
    "State",
    "Step",
    "WrongPermit",
]
