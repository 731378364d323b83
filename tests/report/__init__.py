"""The reports: one history, five formats, the same answer in all of them."""
