"""The demonstration: the bundled recording, what plays it, and what shows it."""
