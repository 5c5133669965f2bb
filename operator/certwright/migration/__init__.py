"""Migration from cert-manager: inventory, assessment, and steps that can be repeated."""
