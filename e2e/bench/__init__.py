"""`make bench`: how fast, how few requests, how little memory; measured on a test bed, never asserted by a test."""
