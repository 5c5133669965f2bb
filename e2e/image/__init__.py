"""`make image`: Certwright's image as an archive, by whatever builds images on this machine."""
