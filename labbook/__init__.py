"""Labbook: reservation and test-environment scheduling for shared test laboratories."""
