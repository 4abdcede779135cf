"""The verbs of the command line as Python functions; saddlepoint.api offers them."""
