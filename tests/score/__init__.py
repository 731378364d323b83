"""The scorer: its rules as tables, its properties, and the mutants that they must kill."""
