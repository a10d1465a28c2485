"""Artifacts on disk: manifests, dataset versions, runs, checkpoints. No torch here."""
