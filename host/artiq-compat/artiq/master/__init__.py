"""What scripts use of the master."""
