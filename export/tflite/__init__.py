"""What LiteRT files are made of: conversion, signatures, schemes, the runner."""
