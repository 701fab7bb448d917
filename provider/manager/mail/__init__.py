"""Mail as a handler: accounts, folders and outboxes are items."""
