"""Pure decisions: values in, values out. Standard library only; no clock, no chance, no threads, no I/O."""
