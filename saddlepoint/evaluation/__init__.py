"""Features first, metrics second."""
