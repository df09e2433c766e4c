"""A service that tells a bank which customers are about to leave."""
