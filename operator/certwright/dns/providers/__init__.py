"""One module for each way to change DNS."""
