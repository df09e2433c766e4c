"""Whether anything breaks servelint: long runs over hostile input, too long for the test suite."""
