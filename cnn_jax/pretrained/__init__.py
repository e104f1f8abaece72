"""Weights from elsewhere: files of other frameworks, their names, and the way back."""
