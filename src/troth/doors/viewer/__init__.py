"""The viewer's own origin: OHIF's published build beside DICOMweb, and nothing else.

It stands apart from the pages so that a fault in the viewer can reach neither their cookies nor their forms, and so
that each of the two has the narrowest content security policy it can work under.
"""

from troth.doors.viewer.app import create
from troth.doors.viewer.ports import Rooms

__all__ = ["Rooms", "create"]
