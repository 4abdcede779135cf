"""Studies with people: real or fake, and which is better; a local web page, answers that are never lost, and what they say."""
