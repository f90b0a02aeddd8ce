"""What measures whatever results/ keeps, and takes longer than a test may."""
