"""The files of the demo; drawn or invented, of no real person. See `troth.dicom.specimens`."""

from troth.dicom.specimens import Study, phantom_cr, phantom_ct, retagged, wheel_ct_series

__all__ = ["Study", "phantom_cr", "phantom_ct", "retagged", "wheel_ct_series"]
