"""Orders, before they are placed and while they are open: their purpose, budget, authorizations and responses."""
