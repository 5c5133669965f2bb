"""Puts together the root file system of Certwright's image, inside the Dockerfile's builder stages.

Standard library only: it runs with the Python of whatever base image was chosen, before anything is installed.
"""
