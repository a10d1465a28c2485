"""What a user can say: one small function a verb, which imports its work inside, so that --help is quick."""
