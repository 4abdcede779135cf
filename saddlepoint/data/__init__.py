"""Real data in: sources, orders and the one record type."""
