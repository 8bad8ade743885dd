"""What is compared on Ray: whoever keeps actors busy there, in one run, on one Ray."""
