"""Weights from elsewhere, read without running any code that lies in their files; and weights for elsewhere."""
