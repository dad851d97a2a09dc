"""Scores: average precision of detections by named protocols, what can be said of a difference, and image quality."""

from tdir.metrics.protocols import evaluate_detections

__all__ = ["evaluate_detections"]
