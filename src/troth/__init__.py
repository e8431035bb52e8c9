"""Troth: a medical imaging platform that keeps its privacy notice."""
