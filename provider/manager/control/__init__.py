"""Who governs, here or from another process: desks, and the socket between them."""
