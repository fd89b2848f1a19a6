"""What a study is on disk: its plan, its arms, its records."""
