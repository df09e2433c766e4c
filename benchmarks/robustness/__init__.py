"""What hostile input, a killed run and large input do to servelint."""
