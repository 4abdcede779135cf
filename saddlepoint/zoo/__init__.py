"""The catalogue: one small file a paper."""
