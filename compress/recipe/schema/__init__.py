"""What a recipe's file says, and the check of it."""
