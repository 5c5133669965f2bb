"""Assemble the root file system of Certwright's image, inside the Dockerfile's builder stages.

Standard library only: it runs with the Python of any base image, before anything is installed.
"""
