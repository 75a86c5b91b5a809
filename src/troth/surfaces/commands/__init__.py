"""What each command does, apart from how its line is spelt (`surfaces.cli`)."""
