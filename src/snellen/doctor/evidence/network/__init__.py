"""What a network is made of: every operation of one pass, how they are joined, and how a signal goes through them."""
