"""Generators, discriminators and their layers; they know no loss, optimiser or data set."""
