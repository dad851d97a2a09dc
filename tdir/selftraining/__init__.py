"""Self-training: the teacher's pseudo-labels, their risk, and the mix."""
