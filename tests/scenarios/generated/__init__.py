"""Generated databases, from which random people are forgotten."""
