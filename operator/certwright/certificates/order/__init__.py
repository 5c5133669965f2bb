"""An order before it is placed and while it is open: who orders, how often, what answers for each name."""
