"""What an interrupted command, a full file system and a damaged file leave behind."""
