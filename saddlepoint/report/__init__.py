"""A run folder told as one page that opens in a browser."""
