"""Requests of data subjects: taken, acknowledged, decided item by item, done and read back, answered."""

from troth.rights.errors import CopyDiffers, CopyNotReady, NotErased, RequestNotFound
from troth.rights.model import Item, Outcome, Right, RightsRequest, State, Step
from troth.rights.service import SERVED, Rights, SignedCertificate
from troth.rights.workflows import Fulfilment

__all__ = [
    "SERVED",
    "CopyDiffers",
    "CopyNotReady",
    "Fulfilment",
    "Item",
    "NotErased",
    "Outcome",
    "RequestNotFound",
    "Right",
    "Rights",
    "RightsRequest",
    "SignedCertificate",
    "State",
    "Step",
]
