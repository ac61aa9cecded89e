"""Music: from words to conditions, from conditions to tokens, from tokens to a score."""
