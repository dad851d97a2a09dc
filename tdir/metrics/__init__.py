"""Scores: average precision of detections by named protocols, and what can be said of a difference."""

from tdir.metrics.protocols import evaluate_detections

__all__ = ["evaluate_detections"]
