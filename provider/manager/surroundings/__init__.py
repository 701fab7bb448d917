"""What happens around a manager: network, power, session, being offline."""
