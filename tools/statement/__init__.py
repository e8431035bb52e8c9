"""What the conformance statement says: facts from the registries of the code, each with the tests that show it."""
