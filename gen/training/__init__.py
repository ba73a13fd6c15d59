"""Training: the loop and what it needs; optimizers, checkpoints, metrics, the lock of a run's folder."""
