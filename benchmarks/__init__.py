"""What is measured and never asserted in tests: `python -m benchmarks NAME`."""
