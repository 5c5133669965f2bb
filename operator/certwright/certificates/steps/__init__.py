"""The steps that `plan` chooses from, each beside its act; see `step`."""
