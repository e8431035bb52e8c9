"""The demo: the platform's main job on real and drawn DICOM files, told step by step with evidence."""
