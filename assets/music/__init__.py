"""Music as a game receives it: scores, their sound, their files."""
