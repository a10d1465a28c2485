"""What a run is fed is watched: drift, collapse and repetition, each with its cause."""
