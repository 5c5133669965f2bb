"""Tests for authors of Certwright plugins; importing it requires no test framework."""
