"""The steps that `plan` chooses from, each with its act; see `step`."""
