"""How good and how fast roadwatch is: each module prints a table, and the tables are kept under results/ with their commit."""
