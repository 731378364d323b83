"""Chaos Toolkit experiments on a deployment: faults as data, the strict check, and a child process that runs them."""
