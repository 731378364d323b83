"""The self-tests that every build of a release runs: message formats, the contract with neighbours, migrations."""
