"""The algorithms: who plays, in which order, and what each minimises."""
