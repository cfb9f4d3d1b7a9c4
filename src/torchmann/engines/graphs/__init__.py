"""What the compiled engine is made of. Importing it imports torch's compiler, so that is left until it is needed."""
