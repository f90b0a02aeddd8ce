"""MIL, the language of a Core ML ML Program: written from torch, compressed, and interpreted in numpy."""
