"""Diagnostics of trained models: gradients through time, memory by distance, gates and attention."""

from nmt.lab.diagnostics.attention import Attended, attend
from nmt.lab.diagnostics.gates import Recording, record_gates
from nmt.lab.diagnostics.gradients import ClippedTraining, Decay, measure_decay, scale_recurrent, train_clipped
from nmt.lab.diagnostics.memory import Accuracy, accuracies, chance, contestants, draw_clauses

__all__ = [
    "Accuracy",
    "Attended",
    "ClippedTraining",
    "Decay",
    "Recording",
    "accuracies",
    "attend",
    "chance",
    "contestants",
    "draw_clauses",
    "measure_decay",
    "record_gates",
    "scale_recurrent",
    "train_clipped",
]
