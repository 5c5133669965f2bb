"""Tests for those who write something that Certwright uses; no test framework is needed to import it."""
