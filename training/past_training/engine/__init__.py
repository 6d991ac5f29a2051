"""The training engine: one visible loop, and what stands around it."""
