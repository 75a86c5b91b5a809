"""Where people and programs meet Troth: parse, call one use case, render."""
